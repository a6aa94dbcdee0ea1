import type { Promisable } from '../../kernel/promisable.js';
import { isPending } from '../../kernel/promisable.js';
import {
  type Database,
  type Insertion,
  type Transaction,
  UniqueViolation,
} from '../../platform/storage/database.js';
import { dpopTables } from './tables.js';

/** Proofs that were taken: one row each, which its primary key lets in once. */
export interface ProofStore {
  has(key: string): Promisable<boolean>;
  /** In a commit shared with other callers, those rows with it; false, and none of them written, where it is there already. */
  insert(key: string, expiresAtMs: number, rows?: readonly Insertion[]): Promise<boolean>;
  insertIn(tx: Transaction, key: string, expiresAtMs: number): Promise<boolean>;
  /** At most `rowsMax`; the number removed. */
  removeExpired(nowMs: number, rowsMax: number): Promise<number>;
}

export function createProofStore(db: Database): ProofStore {
  const view = db.view(dpopTables);
  const byKey = view.defineSystem<{ key: string }, { proof_key: string }>(
    'dpop_proof',
    'dpop_proofs',
    (queries, arg) =>
      queries.selectFrom('dpop_proofs').select('proof_key').where('proof_key', '=', arg('key')),
  );

  return {
    has(key) {
      const found = byKey.first(null, { key });
      return isPending(found) ? found.then((row) => row !== undefined) : found !== undefined;
    },

    async insert(key, expiresAtMs, rows = []) {
      const row = view.insertion('dpop_proofs', null, { proof_key: key, expires_at: expiresAtMs });
      try {
        await db.commitInserts([row, ...rows]);
        return true;
      } catch (error) {
        if (error instanceof UniqueViolation && error.table === 'dpop_proofs') return false;
        throw error;
      }
    },

    /** A refused insert would end the caller's transaction, so the conflict is no error here. */
    async insertIn(tx, key, expiresAtMs) {
      const row = await view
        .system('dpop_proofs', tx)
        .insertInto('dpop_proofs')
        .values({ proof_key: key, expires_at: expiresAtMs })
        .onConflict((conflict) => conflict.column('proof_key').doNothing())
        .returning('proof_key')
        .executeTakeFirst();
      return row !== undefined;
    },

    async removeExpired(nowMs, rowsMax) {
      const queries = view.system('retention');
      const expired = await queries
        .selectFrom('dpop_proofs')
        .select('proof_key')
        .where('expires_at', '<=', nowMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      if (expired.length > 0) {
        const keys = expired.map(({ proof_key }) => proof_key);
        await queries.deleteFrom('dpop_proofs').where('proof_key', 'in', keys).execute();
      }
      return expired.length;
    },
  };
}
