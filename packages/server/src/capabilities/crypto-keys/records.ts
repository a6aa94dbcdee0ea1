import type { Clock } from '../../kernel/clock.js';
import { validationError } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { type Actor, actorOf, type Caller, subjectOf } from '../../kernel/principal.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import { type Database, type Transaction, UniqueViolation } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { cryptoEntry } from './audit.js';
import { keyNameTaken, tooManyKeys } from './errors.js';
import { assertCan } from './operation-of.js';
import { DEFAULT_KEY } from './portable-keys.js';
import type { CryptoKeys, PreparedCryptoKey } from './service.js';
import { type ActiveKey, type CryptoKey, createCryptoKeyStore } from './store.js';
import type { KeyMode, KeyType } from './tables.js';

export interface NewNamedKey {
  readonly name: string;
  readonly keyType: KeyType;
  readonly mode: KeyMode;
  readonly description: string | null;
}

export interface PublicKey {
  readonly key: CryptoKey;
  readonly version: number;
  /** SPKI in DER. */
  readonly publicKey: Buffer;
}

/** The keys of the product: those that have a name. A key is never deleted, its row outlives its versions. */
export interface CryptoKeyRecords {
  /** The oldest first. */
  list(caller: Caller): Promise<CryptoKey[]>;
  create(caller: Caller, input: NewNamedKey): Promise<CryptoKey>;
  get(caller: Caller, name: string): Promise<CryptoKey>;
  /** The new version encrypts and signs what is new; returns its number. */
  rotate(caller: Caller, name: string): Promise<number>;
  /** By the server itself, unless that version is active no longer. */
  rotateWorn(scope: Scope, key: ActiveKey): Promise<void>;
  /** Of the active version unless one is named; 410 where that is destroyed. */
  publicKey(caller: Caller, name: string, version?: number): Promise<PublicKey>;
}

export interface CryptoKeyRecordsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly cryptoKeys: Pick<
    CryptoKeys,
    'prepare' | 'createFor' | 'prepareVersion' | 'addVersion' | 'getNamed' | 'publicKeyOf'
  >;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
}

export function createCryptoKeyRecords(deps: CryptoKeyRecordsDeps): CryptoKeyRecords {
  const { db, clock, cryptoKeys, auditLogs } = deps;
  const store = createCryptoKeyStore(db);

  async function assertRoom(scope: Scope, tx?: Transaction): Promise<void> {
    if ((await store.countNamed(scope, tx)) >= LIMITS.cryptoKeysMax) throw tooManyKeys(LIMITS.cryptoKeysMax);
  }

  async function insert(tx: Transaction, caller: Caller, prepared: PreparedCryptoKey): Promise<CryptoKey> {
    const { scope } = prepared;
    await assertRoom(scope, tx);
    const { id, name, keyType, mode, description, createdBy } = prepared;
    const nowMs = clock.nowMs();
    await cryptoKeys.createFor(tx, prepared);
    const key: CryptoKey = {
      ...{ id, name, keyType, mode, description, createdBy },
      currentVersion: 1,
      deletionAllowed: false,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    };
    await auditLogs.record(tx, actorOf(caller), cryptoEntry('crypto.create', key, { key_type: keyType }));
    await recordAnswer(tx, caller, key);
    return key;
  }

  async function recordRotation(
    tx: Transaction,
    actor: Actor,
    key: ActiveKey,
    version: number,
    reason?: 'encryptions',
  ): Promise<void> {
    const details = { new_version: version, ...(reason && { reason }) };
    await auditLogs.record(tx, actor, cryptoEntry('crypto.rotate', key, details));
  }

  return {
    list: ({ principal }) => store.listNamed(principal.scope, LIMITS.cryptoKeysMax),

    async create(caller, input) {
      const { scope } = caller.principal;
      const { name, keyType, mode, description } = input;
      // What portable texts are sealed under where no key is named (clients-pki.md §5).
      if (name === DEFAULT_KEY && keyType !== 'ecdh-p256')
        throw validationError('key_type', `must be ecdh-p256 where the name is ${DEFAULT_KEY}`);
      // So that no RSA key is made in vain; that the name is free says the insert.
      if (await store.findByName(scope, name)) throw keyNameTaken(name);
      await assertRoom(scope);
      const terms = { mode, description, createdBy: subjectOf(caller.principal) };
      const prepared = await cryptoKeys.prepare(scope, keyType, name, terms);
      try {
        return await db.transaction((tx) => insert(tx, caller, prepared));
      } catch (error) {
        if (error instanceof UniqueViolation && error.table === 'crypto_keys') throw keyNameTaken(name);
        throw error;
      }
    },

    get: ({ principal }, name) => cryptoKeys.getNamed(principal.scope, name),

    async rotate(caller, name) {
      const { scope } = caller.principal;
      const key = await cryptoKeys.getNamed(scope, name);
      // Before the transaction: an RSA key takes seconds, and sealing may call a KMS.
      const prepared = await cryptoKeys.prepareVersion(scope, key.id);
      return db.transaction(async (tx) => {
        const version = await cryptoKeys.addVersion(tx, prepared);
        await recordRotation(tx, actorOf(caller), key, version);
        await recordAnswer(tx, caller, version);
        return version;
      });
    },

    async rotateWorn(scope, key) {
      const actor: Actor = { scope, apiKeyId: null, userId: null, requestId: null, ip: null };
      const prepared = await cryptoKeys.prepareVersion(scope, key.id);
      await db.transaction(async (tx) => {
        await tx.lock('crypto_keys', key.id);
        const now = await store.find(scope, key.id, tx);
        if (now?.currentVersion !== key.currentVersion) return;
        const version = await cryptoKeys.addVersion(tx, prepared);
        await recordRotation(tx, actor, key, version, 'encryptions');
      });
    },

    async publicKey({ principal }, name, version) {
      const key = await cryptoKeys.getNamed(principal.scope, name);
      assertCan(key, 'public-key');
      const wanted = version ?? key.currentVersion;
      const publicKey = await cryptoKeys.publicKeyOf(principal.scope, key.id, wanted);
      return { key, version: wanted, publicKey };
    },
  };
}
