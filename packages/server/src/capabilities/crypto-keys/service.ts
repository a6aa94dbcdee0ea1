import type { Clock } from '../../kernel/clock.js';
import { notFound } from '../../kernel/errors.js';
import { type CryptoKeyId, type IdSource, modeOf, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { KEY_BYTES } from '../../platform/crypto/authenticated-cipher.js';
import { createKeyring } from '../../platform/crypto/keyring.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { EnvelopePlace, TenantKeys } from '../kms/index.js';
import { KEY_ENVELOPE } from './envelope-columns.js';
import { createCryptoKeyStore, type NewCryptoKey } from './store.js';

/** A key made and sealed outside any transaction, for one scope. */
export interface PreparedCryptoKey extends NewCryptoKey {
  readonly scope: Scope;
}

/** Versioned data keys of other capabilities; a vault owns one. */
export interface CryptoKeys {
  /** Makes a key and seals it; may call a KMS, so never inside a transaction. */
  prepare(scope: Scope): Promise<PreparedCryptoKey>;
  createFor(tx: Transaction, prepared: PreparedCryptoKey): Promise<void>;
  /** Of every key of the scope. */
  listCurrentVersions(scope: Scope): Promise<ReadonlyMap<CryptoKeyId, number>>;
  /** Lends the key for one synchronous call; 404 when the version is unknown or destroyed. */
  use<T>(scope: Scope, keyId: CryptoKeyId, version: number, act: (key: Buffer) => T): Promise<T>;
  /** What was encrypted under it is unreadable once the transaction commits. */
  destroy(tx: Transaction, scope: Scope, keyId: CryptoKeyId): Promise<void>;
  /** Zeroes every opened key. */
  close(): void;
}

export interface CryptoKeysDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open'>;
}

const OPENED_KEYS_MAX = 10_000;

export function createCryptoKeys({ db, clock, ids, random, tenantKeys }: CryptoKeysDeps): CryptoKeys {
  const store = createCryptoKeyStore(db);
  const keyring = createKeyring({ clock, ttlMs: LIMITS.tenantKeyCacheMs, keysMax: OPENED_KEYS_MAX });

  const nameOf = (scope: Scope, keyId: CryptoKeyId, version: number) =>
    `${scope.tenantId}:${modeOf(scope)}:${keyId}:${version}`;

  async function openKey(scope: Scope, keyId: CryptoKeyId, version: number): Promise<Buffer> {
    const row = await store.findVersion(scope, keyId, version);
    if (!row) throw notFound('Crypto key');
    return tenantKeys.open(placeOf(scope, row.rowId), row.envelope);
  }

  return {
    async prepare(scope) {
      const versionRowId = ids.uuid();
      const key = random.bytes(KEY_BYTES);
      try {
        const envelope = await tenantKeys.seal(placeOf(scope, versionRowId), key);
        return { scope, id: ids.uuid() as CryptoKeyId, keyType: 'aes256-gcm', versionRowId, envelope };
      } finally {
        key.fill(0);
      }
    },

    createFor: (tx, prepared) => store.insert(tx, prepared.scope, prepared, clock.nowMs()),

    listCurrentVersions: (scope) => store.listCurrentVersions(scope),

    use: (scope, keyId, version, act) =>
      keyring.use(nameOf(scope, keyId, version), () => openKey(scope, keyId, version), act),

    async destroy(tx, scope, keyId) {
      const versions = await store.listVersions(tx, scope, keyId);
      await store.delete(tx, scope, keyId);
      tx.afterCommit(() => {
        for (const version of versions) keyring.forget(nameOf(scope, keyId, version));
      });
    },

    close: () => keyring.clear(),
  };
}

function placeOf(scope: Scope, rowId: string): EnvelopePlace {
  const { table, column } = KEY_ENVELOPE;
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}
