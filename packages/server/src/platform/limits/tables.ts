import type { TenantModeColumns } from '../storage/columns.js';
import type { TableSet } from '../storage/database.js';
import type { Migration } from '../storage/migration.js';
import { rateLimitsMigration } from './migrations/0017-rate-limits.js';

interface RateLimitsTable extends TenantModeColumns {
  name: string;
  /** JSON of a meter's numbers. */
  state: string;
  /** Counts changes: who writes names the one that it read. */
  version: number;
  /** From then on the row says nothing that an absent one does not. */
  expires_at: number;
}

export interface RateLimitsTables {
  rate_limits: RateLimitsTable;
}

export const rateLimitsTables: TableSet<RateLimitsTables> = { rate_limits: { scope: 'tenant+mode' } };

export const migrations: readonly Migration[] = [rateLimitsMigration];
