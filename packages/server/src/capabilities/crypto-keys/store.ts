import type { CryptoKeyId, Scope } from '../../kernel/ids.js';
import { isPending, type Promisable } from '../../kernel/promisable.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import {
  type CryptoKeyRow,
  type CryptoKeyVersionRow,
  cryptoKeyTables,
  type KeyMode,
  type KeyType,
} from './tables.js';

export interface NewKeyVersion {
  /** Its envelope is bound to it. */
  readonly versionRowId: string;
  readonly envelope: Buffer;
  /** SPKI in DER; null of symmetric types. */
  readonly publicKey: Buffer | null;
}

export interface NewCryptoKey extends NewKeyVersion {
  readonly id: CryptoKeyId;
  readonly name: string | null;
  readonly keyType: KeyType;
  readonly mode: KeyMode;
  readonly description: string | null;
  readonly createdBy: string | null;
}

export interface CryptoKey {
  readonly id: CryptoKeyId;
  /** Null where another capability owns the key. */
  readonly name: string | null;
  readonly keyType: KeyType;
  readonly currentVersion: number;
  readonly deletionAllowed: boolean;
  readonly mode: KeyMode;
  readonly description: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly createdBy: string | null;
}

/** Of a key that has a name: it is never renamed and never deleted. */
export type KeyIdentity = Pick<CryptoKey, 'id' | 'name' | 'keyType'>;

/** With the version that encrypts and signs what is new. */
export type ActiveKey = KeyIdentity & Pick<CryptoKey, 'currentVersion'>;

export interface CryptoKeyVersion {
  readonly rowId: string;
  readonly envelope: Buffer;
  readonly publicKey: Buffer | null;
  readonly isDestroyed: boolean;
}

export type CryptoKeyStore = ReturnType<typeof createCryptoKeyStore>;

const KEY_COLUMNS = [
  'id',
  'name',
  'key_type',
  'current_version',
  'deletion_allowed',
  'mode',
  'description',
  'created_at',
  'updated_at',
  'created_by',
] as const;
type KeyRow = Pick<CryptoKeyRow, (typeof KEY_COLUMNS)[number]>;

export function createCryptoKeyStore(db: Database) {
  const view = db.view(cryptoKeyTables);

  const versionQuery = view.define<
    { key_id: string; version: number },
    Pick<CryptoKeyVersionRow, 'id' | 'key_envelope' | 'public_key' | 'destroyed_at'>
  >('crypto_key_version', (queries, arg) =>
    queries
      .selectFrom('crypto_key_versions')
      .select(['id', 'key_envelope', 'public_key', 'destroyed_at'])
      .where('key_id', '=', arg('key_id'))
      .where('version', '=', arg('version')),
  );

  const keyById = view.define<{ id: string }, KeyRow>('crypto_key_by_id', (queries, arg) =>
    queries.selectFrom('crypto_keys').select(KEY_COLUMNS).where('id', '=', arg('id')),
  );
  const currentVersion = view.define<{ id: string }, Pick<CryptoKeyRow, 'current_version'>>(
    'crypto_key_current_version',
    (queries, arg) => queries.selectFrom('crypto_keys').select('current_version').where('id', '=', arg('id')),
  );
  const keyByName = view.define<{ name: string }, KeyRow>('crypto_key_by_name', (queries, arg) =>
    queries.selectFrom('crypto_keys').select(KEY_COLUMNS).where('name', '=', arg('name')),
  );

  async function insertVersion(
    tx: Transaction,
    scope: Scope,
    keyId: CryptoKeyId,
    version: number,
    { versionRowId, envelope, publicKey }: NewKeyVersion,
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
        public_key: publicKey,
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
          mode: key.mode,
          description: key.description,
          created_by: key.createdBy,
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

    /** At once on SQLite. */
    find: (scope: Scope, id: CryptoKeyId, tx?: Transaction): Promisable<CryptoKey | undefined> =>
      mapped(keyById.first(scope, { id }, tx), keyOf),

    findByName: (scope: Scope, name: string): Promisable<CryptoKey | undefined> =>
      mapped(keyByName.first(scope, { name }), keyOf),

    currentVersion: (scope: Scope, id: CryptoKeyId): Promisable<number | undefined> =>
      mapped(currentVersion.first(scope, { id }), (row) => row.current_version),

    /** Those that have a name, the oldest first. */
    async listNamed(scope: Scope, max: number): Promise<CryptoKey[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('crypto_keys')
        .select(KEY_COLUMNS)
        .where('name', 'is not', null)
        .orderBy('created_at')
        .orderBy('id')
        .limit(max)
        .execute();
      return rows.map(keyOf);
    },

    async countNamed(scope: Scope, tx?: Transaction): Promise<number> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('crypto_keys')
        .select((eb) => eb.fn.countAll<number>().as('total'))
        .where('name', 'is not', null)
        .executeTakeFirstOrThrow();
      return Number(row.total);
    },

    /** Those that are not destroyed, the newest first; each rotation makes one more, so that all may be any number. */
    async listUsable(scope: Scope, keyId: CryptoKeyId, max: number): Promise<number[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('crypto_key_versions')
        .select('version')
        .where('key_id', '=', keyId)
        .where('destroyed_at', 'is', null)
        .orderBy('version', 'desc')
        .limit(max)
        .execute();
      return rows.map(({ version }) => version);
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
      version: number,
      tx?: Transaction,
    ): Promise<CryptoKeyVersion | undefined> {
      const row = await versionQuery.first(scope, { key_id: keyId, version }, tx);
      return (
        row && {
          rowId: row.id,
          envelope: row.key_envelope,
          publicKey: row.public_key,
          isDestroyed: row.destroyed_at !== null,
        }
      );
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
      { rowId, envelope }: Pick<CryptoKeyVersion, 'rowId' | 'envelope'>,
      nowMs: number,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('crypto_key_versions')
        .set({ key_envelope: Buffer.alloc(envelope.length), destroyed_at: nowMs })
        .where('id', '=', rowId)
        .execute();
    },

    /** So many more of that version; returns how many there are now. */
    async reserveEncryptions(
      scope: Scope,
      keyId: CryptoKeyId,
      version: number,
      count: number,
    ): Promise<number> {
      const { encryptions } = await view
        .scoped(scope)
        .insertInto('crypto_key_uses')
        .values({ key_id: keyId, version, encryptions: count })
        .onConflict((conflict) =>
          conflict
            .columns(['tenant_id', 'sandbox', 'key_id', 'version'])
            .doUpdateSet((eb) => ({ encryptions: eb('crypto_key_uses.encryptions', '+', count) })),
        )
        .returning('encryptions')
        .executeTakeFirstOrThrow();
      return encryptions;
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
      await queries.deleteFrom('crypto_key_uses').where('key_id', '=', keyId).execute();
      await queries.deleteFrom('crypto_key_versions').where('key_id', '=', keyId).execute();
      await queries.deleteFrom('crypto_keys').where('id', '=', keyId).execute();
    },
  };
}

function keyOf(row: KeyRow): CryptoKey {
  return {
    id: row.id as CryptoKeyId,
    name: row.name,
    keyType: row.key_type,
    currentVersion: row.current_version,
    deletionAllowed: row.deletion_allowed === 1,
    mode: row.mode,
    description: row.description,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
    createdBy: row.created_by,
  };
}

function mapped<From, To>(
  row: Promisable<From | undefined>,
  to: (from: From) => To,
): Promisable<To | undefined> {
  return isPending(row) ? row.then((found) => found && to(found)) : row && to(row);
}
