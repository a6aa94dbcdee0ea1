import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import { notFound } from '../../kernel/errors.js';
import { type CryptoKeyId, type IdSource, isUuid, modeOf, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import { isPending, type Promisable } from '../../kernel/promisable.js';
import { createTurns } from '../../kernel/share.js';
import type { Generations } from '../../platform/cache/generations.js';
import { createLru } from '../../platform/cache/lru.js';
import { createKeyring } from '../../platform/crypto/keyring.js';
import type { Random } from '../../platform/crypto/random.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { EnvelopePlace, TenantKeys } from '../kms/index.js';
import { cryptoEntry } from './audit.js';
import { KEY_ENVELOPE } from './envelope-columns.js';
import { deletionNotAllowed, keyVersionDestroyed, tooManyVersions, versionActive } from './errors.js';
import { newKeyMaterial, publicKeyOfScalar } from './key-material.js';
import {
  type ActiveKey,
  type CryptoKey,
  createCryptoKeyStore,
  type KeyIdentity,
  type NewCryptoKey,
  type NewKeyVersion,
} from './store.js';
import type { KeyMode, KeyType } from './tables.js';

/** A key made and sealed outside any transaction, for one scope. */
export interface PreparedCryptoKey extends NewCryptoKey {
  readonly scope: Scope;
}

/** The same of a further version of one key. */
export interface PreparedKeyVersion extends NewKeyVersion {
  readonly scope: Scope;
  readonly keyId: CryptoKeyId;
}

export interface KeyTerms {
  readonly mode?: KeyMode;
  readonly description?: string | null;
  /** Row id of whoever makes it. */
  readonly createdBy?: string | null;
}

/** Versioned keys: those of the product, which have a name, and of other capabilities; a vault owns one. */
export interface CryptoKeys {
  /** Makes a key and seals it; may call a KMS, so never inside a transaction. */
  prepare(scope: Scope, keyType?: KeyType, name?: string, terms?: KeyTerms): Promise<PreparedCryptoKey>;
  createFor(tx: Transaction, prepared: PreparedCryptoKey): Promise<void>;
  /** 404 when the key is unknown. May call a KMS. */
  prepareVersion(scope: Scope, keyId: CryptoKeyId): Promise<PreparedKeyVersion>;
  /** The version encrypts what is new from the commit on; returns its number. The caller tells its own caches. */
  addVersion(tx: Transaction, prepared: PreparedKeyVersion): Promise<number>;
  /** Of every key of the scope. */
  listCurrentVersions(scope: Scope): Promise<ReadonlyMap<CryptoKeyId, number>>;
  /** By name, or by id: the only way to a key that has no name. */
  find(scope: Scope, nameOrId: string): Promise<CryptoKey | undefined>;
  /**
   * One that has a name, by that or its id; 404. Read when it is called, so `currentVersion` is none that was retired before
   * (clients-pki.md §4.4).
   */
  getNamed(scope: Scope, name: string): Promise<CryptoKey>;
  /** What never changes of it, from memory where it was asked for before; 404. */
  identify(scope: Scope, name: string): Promisable<KeyIdentity>;
  /** The cheap form of `getNamed`, as fresh: for each call that encrypts or signs. */
  getActive(scope: Scope, name: string): Promisable<ActiveKey>;
  /** Of the versions that are not destroyed the newest, newest first; none of a key that is not there. */
  listUsable(scope: Scope, keyId: CryptoKeyId, max: number): Promise<number[]>;
  /** SPKI in DER of an asymmetric key, from memory where it was asked for before; 404 unknown version, 410 destroyed. */
  publicKeyOf(scope: Scope, keyId: CryptoKeyId, version: number): Promise<Buffer>;
  /** Lends the key for one synchronous call, at once where it is open; 404 when the version is unknown, 410 `key_version_destroyed`. */
  use<T>(scope: Scope, keyId: CryptoKeyId, version: number, act: (key: Buffer) => T): Promisable<T>;
  /** What was encrypted under it is unreadable once the transaction commits. */
  destroy(tx: Transaction, scope: Scope, keyId: CryptoKeyId): Promise<void>;
  /** The latch that stands before `destroyVersion`. */
  allowDeletion(caller: Caller, nameOrId: string, allowed: boolean): Promise<CryptoKey>;
  /** Crypto-shredding: resolves when the bytes are out of the database's files. Again for a destroyed one: does the rest. */
  destroyVersion(caller: Caller, nameOrId: string, version: number): Promise<number>;
  /** Zeroes every opened key. */
  close(): void;
}

export interface CryptoKeysDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open' | 'onForget'>;
  readonly generations: Pick<Generations, 'bump' | 'onChange' | 'current'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
}

const OPENED_KEYS_MAX = 10_000;
const PUBLIC_KEYS_MAX = 10_000;
const IDENTITIES_MAX = 10_000;
const GENERATION = 'crypto-keys:';
/** By then every process has learned of a rotation, or reads the database (cache/generations.ts). */
const ROTATION_KNOWN_MS = 1_000;

export function createCryptoKeys(deps: CryptoKeysDeps): CryptoKeys {
  const { db, clock, ids, random, tenantKeys, generations, auditLogs } = deps;
  const store = createCryptoKeyStore(db);
  const keyring = createKeyring({ clock, ttlMs: LIMITS.tenantKeyCacheMs, keysMax: OPENED_KEYS_MAX });
  tenantKeys.onForget((tenantId) => keyring.forget(`${tenantId}:`));
  // An opened key leaves memory also in a process that nobody asks for it.
  generations.onChange((name) => {
    if (name.startsWith(GENERATION)) keyring.forget(`${name.slice(GENERATION.length)}:`);
  });

  const inTurn = createTurns<CryptoKey | undefined>();
  const versionInTurn = createTurns<number | undefined>();
  const identities = createLru<string, KeyIdentity>({ entriesMax: IDENTITIES_MAX });
  const actives = createLru<string, KeptActive>({ entriesMax: IDENTITIES_MAX });
  const publicKeys = createLru<string, Buffer>({
    entriesMax: PUBLIC_KEYS_MAX,
    // Names begin with that of their generation's place.
    generation: (name) => generations.current(`${GENERATION}${name.split(':').slice(0, 2).join(':')}`),
  });

  const placeName = (scope: Scope) => `${scope.tenantId}:${modeOf(scope)}`;

  async function openKey(scope: Scope, keyId: CryptoKeyId, version: number): Promise<Buffer> {
    const row = await store.findVersion(scope, keyId, version);
    if (!row) throw notFound('Crypto key');
    if (row.isDestroyed) throw keyVersionDestroyed();
    return tenantKeys.open(placeOf(scope, row.rowId), row.envelope);
  }

  async function makeVersion(scope: Scope, keyType: KeyType): Promise<NewKeyVersion> {
    const versionRowId = ids.uuid();
    const { secret, publicKey } = await newKeyMaterial(random, keyType, scope.tenantId);
    try {
      const envelope = await tenantKeys.seal(placeOf(scope, versionRowId), secret);
      return { versionRowId, envelope, publicKey };
    } finally {
      secret.fill(0);
    }
  }

  /** No name looks like a UUID. */
  const find = (scope: Scope, nameOrId: string): Promisable<CryptoKey | undefined> =>
    isUuid(nameOrId)
      ? store.find(scope, nameOrId.toLowerCase() as CryptoKeyId)
      : store.findByName(scope, nameOrId);

  async function getNamed(scope: Scope, name: string): Promise<CryptoKey> {
    const reading = inTurn(`${placeName(scope)}:${name}`, () => find(scope, name));
    const key = isPending(reading) ? await reading : reading;
    if (!key || key.name === null) throw notFound('Crypto key');
    return key;
  }

  function identify(scope: Scope, name: string): Promisable<KeyIdentity> {
    const place = `${placeName(scope)}:${name}`;
    return (
      identities.get(place) ?? identities.load(place, async () => identityOf(await getNamed(scope, name)))
    );
  }

  /** Read anew but where nobody can have rotated it since it was read. */
  function getActive(scope: Scope, name: string): Promisable<ActiveKey> {
    const place = `${placeName(scope)}:${name}`;
    const mark = db.changeMark();
    const kept = actives.get(place);
    return kept !== undefined && kept.mark === mark ? kept.key : keepActive(scope, name, place);
  }

  async function keepActive(scope: Scope, name: string, place: string): Promise<ActiveKey> {
    // Before the read: what changes meanwhile has another mark.
    const mark = db.changeMark();
    const key = await readActive(scope, name);
    if (mark !== null) actives.put(place, { key, mark });
    return key;
  }

  async function readActive(scope: Scope, name: string): Promise<ActiveKey> {
    const found = identify(scope, name);
    const { id, keyType, name: ownName } = isPending(found) ? await found : found;
    const reading = versionInTurn(`${placeName(scope)}:${id}`, () => store.currentVersion(scope, id));
    const currentVersion = isPending(reading) ? await reading : reading;
    if (currentVersion === undefined) throw notFound('Crypto key');
    return { id, keyType, name: ownName, currentVersion };
  }

  async function getKey(scope: Scope, nameOrId: string): Promise<CryptoKey> {
    const key = await find(scope, nameOrId);
    if (!key) throw notFound('Crypto key');
    return key;
  }

  async function lockKey(tx: Transaction, scope: Scope, id: CryptoKeyId): Promise<CryptoKey> {
    await tx.lock('crypto_keys', id);
    const key = await store.find(scope, id, tx);
    if (!key) throw notFound('Crypto key');
    return key;
  }

  function assertRoom(currentVersion: number): void {
    if (currentVersion >= LIMITS.cryptoKeyVersionsMax) throw tooManyVersions(LIMITS.cryptoKeyVersionsMax);
  }

  /** Opened keys of the scope leave the memory of every process. */
  const forget = (tx: Transaction, scope: Scope) => generations.bump(tx, `${GENERATION}${placeName(scope)}`);

  /** Else another process that has not learned of the rotation could still encrypt under what is destroyed. */
  async function untilRotationIsKnown(scope: Scope, keyId: CryptoKeyId, version: number): Promise<void> {
    const retiredAtMs = await store.versionMadeAtMs(scope, keyId, version + 1);
    if (retiredAtMs === undefined) return;
    const waitMs = Math.min(retiredAtMs + ROTATION_KNOWN_MS - clock.nowMs(), ROTATION_KNOWN_MS);
    if (waitMs > 0) await new Promise<void>((resolve) => clock.setTimer(waitMs, resolve));
  }

  const use: CryptoKeys['use'] = (scope, keyId, version, act) =>
    keyring.use(`${placeName(scope)}:${keyId}:${version}`, () => openKey(scope, keyId, version), act);

  async function readPublicKey(scope: Scope, keyId: CryptoKeyId, version: number): Promise<Buffer> {
    const [key, row] = await Promise.all([
      store.find(scope, keyId),
      store.findVersion(scope, keyId, version),
    ]);
    if (!key || !row) throw notFound('Key version');
    if (row.isDestroyed) throw keyVersionDestroyed();
    if (row.publicKey) return row.publicKey;
    assert(key.keyType === 'ecdh-p256', 'a symmetric key has no public half');
    return use(scope, keyId, version, publicKeyOfScalar);
  }

  return {
    async prepare(scope, keyType = 'aes256-gcm', name, terms = {}) {
      const version = await makeVersion(scope, keyType);
      const { mode = 'cloud-only', description = null, createdBy = null } = terms;
      const id = ids.uuid() as CryptoKeyId;
      return { ...version, scope, id, name: name ?? null, keyType, mode, description, createdBy };
    },

    createFor: (tx, prepared) => store.insert(tx, prepared.scope, prepared, clock.nowMs()),

    async prepareVersion(scope, keyId) {
      const { keyType, currentVersion } = await getKey(scope, keyId);
      assertRoom(currentVersion);
      return { ...(await makeVersion(scope, keyType)), scope, keyId };
    },

    async addVersion(tx, prepared) {
      const { scope, keyId } = prepared;
      const { currentVersion } = await lockKey(tx, scope, keyId);
      assertRoom(currentVersion);
      const version = currentVersion + 1;
      await store.addVersion(tx, scope, keyId, version, prepared, clock.nowMs());
      return version;
    },

    listCurrentVersions: (scope) => store.listCurrentVersions(scope),

    find: async (scope, nameOrId) => find(scope, nameOrId),

    getNamed,

    identify,
    getActive,

    listUsable: (scope, keyId, max) => store.listUsable(scope, keyId, max),

    publicKeyOf: (scope, keyId, version) =>
      publicKeys.load(`${placeName(scope)}:${keyId}:${version}`, () => readPublicKey(scope, keyId, version)),

    use,

    async destroy(tx, scope, keyId) {
      await store.delete(tx, scope, keyId);
      await forget(tx, scope);
    },

    async allowDeletion(caller, nameOrId, allowed) {
      const { scope } = caller.principal;
      const { id } = await getKey(scope, nameOrId);
      return db.transaction(async (tx) => {
        const key = { ...(await lockKey(tx, scope, id)), deletionAllowed: allowed };
        await store.allowDeletion(tx, scope, id, allowed, clock.nowMs());
        await auditLogs.record(
          tx,
          actorOf(caller),
          cryptoEntry('crypto.update', key, { deletion_allowed: allowed }),
        );
        await recordAnswer(tx, caller, key);
        return key;
      });
    },

    async destroyVersion(caller, nameOrId, version) {
      const { scope } = caller.principal;
      const { id } = await getKey(scope, nameOrId);
      await untilRotationIsKnown(scope, id, version);
      await db.transaction(async (tx) => {
        const key = await lockKey(tx, scope, id);
        const row = await store.findVersion(scope, id, version, tx);
        if (!row) throw notFound('Key version');
        if (!row.isDestroyed) {
          if (!key.deletionAllowed) throw deletionNotAllowed();
          if (version === key.currentVersion) throw versionActive(version);
          await store.wipeVersion(tx, scope, row, clock.nowMs());
          await auditLogs.record(tx, actorOf(caller), cryptoEntry('crypto.destroy', key, { version }));
          await forget(tx, scope);
        }
        await recordAnswer(tx, caller, version);
      });
      await db.scrub(KEY_ENVELOPE.table);
      return version;
    },

    close: () => keyring.clear(),
  };
}

interface KeptActive {
  readonly key: ActiveKey;
  /** `Database.changeMark` from before the read. */
  readonly mark: number;
}

function placeOf(scope: Scope, rowId: string): EnvelopePlace {
  const { table, column } = KEY_ENVELOPE;
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}

function identityOf({ id, name, keyType }: CryptoKey): KeyIdentity {
  return { id, name, keyType };
}
