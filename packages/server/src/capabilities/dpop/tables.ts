import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { dpopProofsMigration } from './migrations/0031-dpop-proofs.js';

interface DpopProofRow {
  /** SHA-256 of key thumbprint and `jti`; text, since rows of text alone cross to SQLite's writer for less. */
  proof_key: string;
  expires_at: number;
}

export interface DpopTables {
  dpop_proofs: DpopProofRow;
}

export const dpopTables: TableSet<DpopTables> = { dpop_proofs: { scope: 'system' } };

export const migrations: readonly Migration[] = [dpopProofsMigration];
