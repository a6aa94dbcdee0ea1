import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { idempotencyMigration } from './migrations/0018-idempotency.js';

interface IdempotencyRecordRow extends TenantModeColumns {
  /** SHA-256 of tenant, mode, credential, method, path and key. */
  id: string;
  /** The claim says who carries the call out, the answer what came of it; a key has at most one of each. */
  part: 'claim' | 'answer';
  /** The record's data key under the tenant's master key; the same bytes in both rows. */
  key_envelope: Buffer;
  /** Under the data key: a plain hash of a body that holds a card number would give the number away. */
  request_hash: Buffer;
  expires_at: number;
  /** Of a claim. */
  owner: string | null;
  lease_until: number | null;
  intent_id: string | null;
  /** Of an answer; its body is sealed with the data key. */
  status: number | null;
  answer: Buffer | null;
  request_id: string | null;
}

export interface IdempotencyTables {
  idempotency_records: IdempotencyRecordRow;
}

export const RECORDS = 'idempotency_records';

export const idempotencyTables: TableSet<IdempotencyTables> = {
  [RECORDS]: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [idempotencyMigration];
