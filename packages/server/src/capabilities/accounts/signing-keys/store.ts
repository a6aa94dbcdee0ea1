import type { Database } from '../../../platform/storage/database.js';
import { accountsTables } from '../tables.js';

export function createSigningKeyStore(db: Database) {
  const view = db.view(accountsTables);

  return {
    async find(purpose: string): Promise<Buffer | undefined> {
      const row = await view
        .system('signing_key')
        .selectFrom('signing_keys')
        .select('wrapped_key')
        .where('purpose', '=', purpose)
        .executeTakeFirst();
      return row?.wrapped_key;
    },

    /** Nothing happens where another process was first. */
    async insert(purpose: string, sealedKey: Buffer, nowMs: number): Promise<void> {
      await view
        .system('signing_key')
        .insertInto('signing_keys')
        .values({ purpose, wrapped_key: sealedKey, created_at: nowMs })
        .onConflict((conflict) => conflict.column('purpose').doNothing())
        .execute();
    },

    /** Nothing happens where another process was first. */
    async replace(purpose: string, former: Buffer, sealedKey: Buffer, nowMs: number): Promise<void> {
      await view
        .system('signing_key')
        .updateTable('signing_keys')
        .set({ wrapped_key: sealedKey, created_at: nowMs })
        .where('purpose', '=', purpose)
        .where('wrapped_key', '=', former)
        .execute();
    },
  };
}
