import type { CryptoKeyId, Scope } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { cryptoKeyTables, type KeyType } from './tables.js';

export interface NewCryptoKey {
  readonly id: CryptoKeyId;
  readonly keyType: KeyType;
  /** Row id of version 1; its envelope is bound to it. */
  readonly versionRowId: string;
  readonly envelope: Buffer;
}

export interface CryptoKeyVersion {
  readonly rowId: string;
  readonly envelope: Buffer;
}

export type CryptoKeyStore = ReturnType<typeof createCryptoKeyStore>;

export function createCryptoKeyStore(db: Database) {
  const view = db.view(cryptoKeyTables);

  const version = view.define<{ key_id: string; version: number }, { id: string; key_envelope: Buffer }>(
    'crypto_key_version',
    (queries, arg) =>
      queries
        .selectFrom('crypto_key_versions')
        .select(['id', 'key_envelope'])
        .where('key_id', '=', arg('key_id'))
        .where('version', '=', arg('version')),
  );

  return {
    async insert(tx: Transaction, scope: Scope, key: NewCryptoKey, nowMs: number): Promise<void> {
      const queries = view.scoped(scope, tx);
      await queries
        .insertInto('crypto_keys')
        .values({
          id: key.id,
          key_type: key.keyType,
          current_version: 1,
          created_at: nowMs,
          updated_at: nowMs,
        })
        .execute();
      await queries
        .insertInto('crypto_key_versions')
        .values({
          id: key.versionRowId,
          key_id: key.id,
          version: 1,
          key_envelope: key.envelope,
          created_at: nowMs,
        })
        .execute();
    },

    async listCurrentVersions(scope: Scope): Promise<Map<CryptoKeyId, number>> {
      const rows = await view
        .scoped(scope)
        .selectFrom('crypto_keys')
        .select(['id', 'current_version'])
        .execute();
      return new Map(rows.map((row) => [row.id as CryptoKeyId, row.current_version]));
    },

    async findVersion(
      scope: Scope,
      keyId: CryptoKeyId,
      number: number,
    ): Promise<CryptoKeyVersion | undefined> {
      const row = await version.first(scope, { key_id: keyId, version: number });
      return row && { rowId: row.id, envelope: row.key_envelope };
    },

    async listVersions(tx: Transaction, scope: Scope, keyId: CryptoKeyId): Promise<number[]> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('crypto_key_versions')
        .select('version')
        .where('key_id', '=', keyId)
        .execute();
      return rows.map((row) => row.version);
    },

    async delete(tx: Transaction, scope: Scope, keyId: CryptoKeyId): Promise<void> {
      const queries = view.scoped(scope, tx);
      await queries.deleteFrom('crypto_key_versions').where('key_id', '=', keyId).execute();
      await queries.deleteFrom('crypto_keys').where('id', '=', keyId).execute();
    },
  };
}
