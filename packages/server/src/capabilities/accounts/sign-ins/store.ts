import type { UserId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { accountsTables } from '../tables.js';

/** The first factor was right, and another is due. */
export interface PendingSignIn {
  readonly hash: Buffer;
  readonly userId: UserId;
  readonly amr: readonly string[];
  readonly isBrief: boolean;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

export function createPendingSignInStore(db: Database) {
  const view = db.view(accountsTables);
  const people = (tx?: Transaction) => view.system('people', tx);

  return {
    async insert(tx: Transaction, pending: PendingSignIn): Promise<void> {
      await people(tx)
        .insertInto('pending_sign_ins')
        .values({
          token_hash: pending.hash,
          user_id: pending.userId,
          amr: JSON.stringify(pending.amr),
          brief: Number(pending.isBrief),
          created_at: pending.createdAtMs,
          expires_at: pending.expiresAtMs,
        })
        .execute();
    },

    /** All but the newest `keep` of a user. */
    async removeOldest(tx: Transaction, userId: UserId, keep: number): Promise<void> {
      const oldest = await people(tx)
        .selectFrom('pending_sign_ins')
        .select('token_hash')
        .where('user_id', '=', userId)
        .orderBy('created_at', 'desc')
        .orderBy('token_hash')
        .limit(keep)
        .offset(keep)
        .execute();
      await this.removeAll(
        tx,
        oldest.map(({ token_hash }) => token_hash),
      );
    },

    async removeAll(tx: Transaction, hashes: readonly Buffer[]): Promise<void> {
      if (hashes.length > 0)
        await people(tx).deleteFrom('pending_sign_ins').where('token_hash', 'in', hashes).execute();
    },

    async find(hash: Buffer, nowMs: number): Promise<PendingSignIn | undefined> {
      const row = await people()
        .selectFrom('pending_sign_ins')
        .selectAll()
        .where('token_hash', '=', hash)
        .where('expires_at', '>', nowMs)
        .executeTakeFirst();
      return (
        row && {
          hash: row.token_hash,
          userId: row.user_id,
          amr: JSON.parse(row.amr) as string[],
          isBrief: row.brief === 1,
          createdAtMs: row.created_at,
          expiresAtMs: row.expires_at,
        }
      );
    },

    /** True for the one sign-in that it is good for. */
    async use(tx: Transaction, hash: Buffer): Promise<boolean> {
      const row = await people(tx)
        .deleteFrom('pending_sign_ins')
        .where('token_hash', '=', hash)
        .returning('user_id')
        .executeTakeFirst();
      return row !== undefined;
    },

    /** Those that a former password has begun. */
    async removeOfUser(tx: Transaction, userId: UserId): Promise<void> {
      await people(tx).deleteFrom('pending_sign_ins').where('user_id', '=', userId).execute();
    },

    async removeEnded(tx: Transaction, nowMs: number, rowsMax: number): Promise<number> {
      const ended = await view
        .system('retention', tx)
        .selectFrom('pending_sign_ins')
        .select('token_hash')
        .where('expires_at', '<=', nowMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      await this.removeAll(
        tx,
        ended.map(({ token_hash }) => token_hash),
      );
      return ended.length;
    },
  };
}
