import type { Generated } from 'kysely';
import type { TenantModeColumns } from '../storage/columns.js';
import type { TableSet } from '../storage/database.js';
import type { Migration } from '../storage/migration.js';
import { outboxMigration } from './migrations/0011-outbox.js';

interface OutboxRow extends TenantModeColumns {
  id: Generated<number>;
  listener: string;
  /** The same for every listener and every delivery of an event. */
  event_id: string;
  type: string;
  order_key: string | null;
  payload: string;
  /** Null = dead letter. */
  run_at: number | null;
  attempts: number;
  last_error: string | null;
  created_at: number;
}

export interface OutboxTables {
  outbox: OutboxRow;
}

export const outboxTables: TableSet<OutboxTables> = { outbox: { scope: 'tenant+mode' } };

export const migrations: readonly Migration[] = [outboxMigration];
