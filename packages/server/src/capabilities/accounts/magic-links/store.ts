import type { UserId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { accountsTables } from '../tables.js';

export interface NewMagicLink {
  readonly hash: Buffer;
  /** Null where the address has no account. */
  readonly userId: UserId | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

export function createMagicLinkStore(db: Database) {
  const view = db.view(accountsTables);
  const people = (tx?: Transaction) => view.system('people', tx);

  return {
    async insert(tx: Transaction, link: NewMagicLink): Promise<void> {
      await people(tx)
        .insertInto('magic_links')
        .values({
          token_hash: link.hash,
          user_id: link.userId,
          created_at: link.createdAtMs,
          expires_at: link.expiresAtMs,
        })
        .execute();
    },

    /** Whose link that is, while it is good. */
    async findUserId(hash: Buffer, nowMs: number): Promise<UserId | undefined> {
      const row = await people()
        .selectFrom('magic_links')
        .select('user_id')
        .where('token_hash', '=', hash)
        .where('expires_at', '>', nowMs)
        .executeTakeFirst();
      return row?.user_id ?? undefined;
    },

    /** All of a user; their hashes, so that of several who use one at once one is told of it. */
    async removeOfUser(tx: Transaction, userId: UserId): Promise<Buffer[]> {
      const rows = await people(tx)
        .deleteFrom('magic_links')
        .where('user_id', '=', userId)
        .returning('token_hash')
        .execute();
      return rows.map(({ token_hash }) => token_hash);
    },

    async removeEnded(tx: Transaction, nowMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const ended = await queries
        .selectFrom('magic_links')
        .select('token_hash')
        .where('expires_at', '<=', nowMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      const hashes = ended.map(({ token_hash }) => token_hash);
      if (hashes.length > 0)
        await queries.deleteFrom('magic_links').where('token_hash', 'in', hashes).execute();
      return hashes.length;
    },
  };
}
