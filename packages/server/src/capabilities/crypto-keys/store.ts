import type { CryptoKeyId, Scope } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { cryptoKeyTables, type KeyType } from './tables.js';

export interface NewKeyVersion {
  /** Its envelope is bound to it. */
  readonly versionRowId: string;
  readonly envelope: Buffer;
}

export interface NewCryptoKey extends NewKeyVersion {
  readonly id: CryptoKeyId;
  readonly name: string | null;
  readonly keyType: KeyType;
}

export interface CryptoKey {
  readonly id: CryptoKeyId;
  /** Null where another capability owns the key. */
  readonly name: string | null;
  readonly keyType: KeyType;
  readonly currentVersion: number;
  readonly deletionAllowed: boolean;
}

export interface CryptoKeyVersion {
  readonly rowId: string;
  readonly envelope: Buffer;
  readonly isDestroyed: boolean;
}

export type CryptoKeyStore = ReturnType<typeof createCryptoKeyStore>;

const KEY_COLUMNS = ['id', 'name', 'key_type', 'current_version', 'deletion_allowed'] as const;

export function createCryptoKeyStore(db: Database) {
  const view = db.view(cryptoKeyTables);

  const versionQuery = view.define<
    { key_id: string; version: number },
    { id: string; key_envelope: Buffer; destroyed_at: number | null }
  >('crypto_key_version', (queries, arg) =>
    queries
      .selectFrom('crypto_key_versions')
      .select(['id', 'key_envelope', 'destroyed_at'])
      .where('key_id', '=', arg('key_id'))
      .where('version', '=', arg('version')),
  );

  async function findBy(
    scope: Scope,
    column: 'id' | 'name',
    value: string,
    tx?: Transaction,
  ): Promise<CryptoKey | undefined> {
    const row = await view
      .scoped(scope, tx)
      .selectFrom('crypto_keys')
      .select(KEY_COLUMNS)
      .where(column, '=', value)
      .executeTakeFirst();
    return (
      row && {
        id: row.id as CryptoKeyId,
        name: row.name,
        keyType: row.key_type,
        currentVersion: row.current_version,
        deletionAllowed: row.deletion_allowed === 1,
      }
    );
  }

  async function insertVersion(
    tx: Transaction,
    scope: Scope,
    keyId: CryptoKeyId,
    version: number,
    { versionRowId, envelope }: NewKeyVersion,
    nowMs: number,
  ): Promise<void> {
    await view
      .scoped(scope, tx)
      .insertInto('crypto_key_versions')
      .values({
        id: versionRowId,
        key_id: keyId,
        version,
        key_envelope: envelope,
        created_at: nowMs,
        destroyed_at: null,
      })
      .execute();
  }

  return {
    async insert(tx: Transaction, scope: Scope, key: NewCryptoKey, nowMs: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('crypto_keys')
        .values({
          id: key.id,
          name: key.name,
          key_type: key.keyType,
          current_version: 1,
          deletion_allowed: 0,
          created_at: nowMs,
          updated_at: nowMs,
        })
        .execute();
      await insertVersion(tx, scope, key.id, 1, key, nowMs);
    },

    /** It becomes the current one. */
    async addVersion(
      tx: Transaction,
      scope: Scope,
      keyId: CryptoKeyId,
      version: number,
      made: NewKeyVersion,
      nowMs: number,
    ): Promise<void> {
      await insertVersion(tx, scope, keyId, version, made, nowMs);
      await view
        .scoped(scope, tx)
        .updateTable('crypto_keys')
        .set({ current_version: version, updated_at: nowMs })
        .where('id', '=', keyId)
        .execute();
    },

    find: (scope: Scope, id: CryptoKeyId, tx?: Transaction) => findBy(scope, 'id', id, tx),

    findByName: (scope: Scope, name: string) => findBy(scope, 'name', name),

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
      version: number,
      tx?: Transaction,
    ): Promise<CryptoKeyVersion | undefined> {
      const row = await versionQuery.first(scope, { key_id: keyId, version }, tx);
      return row && { rowId: row.id, envelope: row.key_envelope, isDestroyed: row.destroyed_at !== null };
    },

    /** When that version was made; undefined where there is none. */
    async versionMadeAtMs(scope: Scope, keyId: CryptoKeyId, version: number): Promise<number | undefined> {
      const row = await view
        .scoped(scope)
        .selectFrom('crypto_key_versions')
        .select('created_at')
        .where('key_id', '=', keyId)
        .where('version', '=', version)
        .executeTakeFirst();
      return row?.created_at;
    },

    /** Zeros of the same length, so that SQLite writes over the very bytes. */
    async wipeVersion(
      tx: Transaction,
      scope: Scope,
      { rowId, envelope }: CryptoKeyVersion,
      nowMs: number,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('crypto_key_versions')
        .set({ key_envelope: Buffer.alloc(envelope.length), destroyed_at: nowMs })
        .where('id', '=', rowId)
        .execute();
    },

    async allowDeletion(
      tx: Transaction,
      scope: Scope,
      keyId: CryptoKeyId,
      allowed: boolean,
      nowMs: number,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('crypto_keys')
        .set({ deletion_allowed: allowed ? 1 : 0, updated_at: nowMs })
        .where('id', '=', keyId)
        .execute();
    },

    async delete(tx: Transaction, scope: Scope, keyId: CryptoKeyId): Promise<void> {
      const queries = view.scoped(scope, tx);
      await queries.deleteFrom('crypto_key_versions').where('key_id', '=', keyId).execute();
      await queries.deleteFrom('crypto_keys').where('id', '=', keyId).execute();
    },
  };
}
