import type { UserId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { accountsTables } from '../tables.js';

export interface Passkey {
  readonly id: string;
  readonly userId: UserId;
  readonly credentialId: string;
  readonly publicKey: Buffer;
  /** Of authenticators that count, how often it has signed; of others always 0. */
  readonly counter: number;
  readonly transports: readonly string[];
  /** May be on several devices of the user. */
  readonly isSynced: boolean;
  readonly name: string;
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number | null;
}

export function createPasskeyStore(db: Database) {
  const view = db.view(accountsTables);
  const people = (tx?: Transaction) => view.system('people', tx);

  return {
    /** False where the credential is enrolled already. */
    async insert(tx: Transaction, passkey: Passkey): Promise<boolean> {
      const row = await people(tx)
        .insertInto('passkeys')
        .values({
          id: passkey.id,
          user_id: passkey.userId,
          credential_id: passkey.credentialId,
          public_key: passkey.publicKey,
          counter: passkey.counter,
          transports: JSON.stringify(passkey.transports),
          synced: Number(passkey.isSynced),
          name: passkey.name,
          created_at: passkey.createdAtMs,
          last_used_at: passkey.lastUsedAtMs,
        })
        .onConflict((conflict) => conflict.column('credential_id').doNothing())
        .returning('id')
        .executeTakeFirst();
      return row !== undefined;
    },

    async list(userId: UserId, rowsMax: number, tx?: Transaction): Promise<Passkey[]> {
      const rows = await people(tx)
        .selectFrom('passkeys')
        .selectAll()
        .where('user_id', '=', userId)
        .orderBy('created_at')
        .orderBy('id')
        .limit(rowsMax)
        .execute();
      return rows.map(passkeyOf);
    },

    async findByCredential(credentialId: string): Promise<Passkey | undefined> {
      const row = await people()
        .selectFrom('passkeys')
        .selectAll()
        .where('credential_id', '=', credentialId)
        .executeTakeFirst();
      return row && passkeyOf(row);
    },

    /** False where it is gone, or has signed meanwhile: a counter that two have seen is a copy. */
    async use(tx: Transaction, passkey: Passkey, counter: number, nowMs: number): Promise<boolean> {
      const row = await people(tx)
        .updateTable('passkeys')
        .set({ counter, last_used_at: nowMs })
        .where('id', '=', passkey.id)
        .where('counter', '=', passkey.counter)
        .returning('id')
        .executeTakeFirst();
      return row !== undefined;
    },

    async remove(tx: Transaction, userId: UserId, id: string): Promise<boolean> {
      const row = await people(tx)
        .deleteFrom('passkeys')
        .where('user_id', '=', userId)
        .where('id', '=', id)
        .returning('id')
        .executeTakeFirst();
      return row !== undefined;
    },
  };
}

function passkeyOf(row: {
  readonly id: string;
  readonly user_id: UserId;
  readonly credential_id: string;
  readonly public_key: Buffer;
  readonly counter: number;
  readonly transports: string;
  readonly synced: number;
  readonly name: string;
  readonly created_at: number;
  readonly last_used_at: number | null;
}): Passkey {
  return {
    id: row.id,
    userId: row.user_id,
    credentialId: row.credential_id,
    publicKey: row.public_key,
    counter: row.counter,
    transports: JSON.parse(row.transports) as string[],
    isSynced: row.synced === 1,
    name: row.name,
    createdAtMs: row.created_at,
    lastUsedAtMs: row.last_used_at,
  };
}
