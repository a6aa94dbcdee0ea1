import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import type { TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Secret } from '../../kernel/secret.js';
import { KEY_BYTES } from '../../platform/crypto/authenticated-cipher.js';
import {
  type EnvelopePlace,
  envelopeVersion,
  openEnvelope,
  sealEnvelope,
} from '../../platform/crypto/envelope-cipher.js';
import { equalInConstantTime } from '../../platform/crypto/hashing.js';
import { createKeyring } from '../../platform/crypto/keyring.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { createEnvelopeRegistry, type EnvelopeColumn } from './envelope-columns.js';
import { RootKeyMismatch, tenantSealed } from './errors.js';
import { providers } from './providers/index.js';
import type { KmsProvider, WrapContext } from './providers/types.js';
import { createKmsStore, type NewMasterKey } from './store.js';
import type { WrapMethod } from './tables.js';

/** A master key made and wrapped outside any transaction, for one tenant and one version number. */
export interface PreparedMasterKey extends NewMasterKey {
  readonly tenantId: TenantId;
}

/** The master keys of all tenants; what other capabilities seal with. */
export interface TenantKeys {
  /** Makes and wraps a first key; may call a KMS, so never inside a transaction. */
  prepare(tenantId: TenantId): Promise<PreparedMasterKey>;
  createFor(tx: Transaction, tenantId: TenantId, masterKey: PreparedMasterKey): Promise<void>;
  /** Under the active version. May call a KMS, so never inside a transaction. */
  seal(place: EnvelopePlace, plaintext: Buffer): Promise<Buffer>;
  /** Under whichever version the envelope names. */
  open(place: EnvelopePlace, envelope: Buffer): Promise<Buffer>;
}

export interface Kms extends TenantKeys {
  /** The next version becomes the active one, the former is retired; returns the new number. */
  rotate(tenantId: TenantId): Promise<number>;
  /** At the start: throws `RootKeyMismatch` when the stored data was wrapped with another root key. */
  checkRootKey(): Promise<void>;
  /** Zeroes every opened key. */
  close(): void;
}

export interface KmsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly rootKey: Secret<Buffer>;
  /** Those of every capability that seals. */
  readonly envelopeColumns: readonly EnvelopeColumn[];
}

const OPENED_KEYS_MAX = 10_000;
const ROTATE_TRIES = 8;

/** What the stored check value must open to. Not a tenant's context: no tenant has an empty id or a version 0. */
const CHECK_CONTEXT: WrapContext = { tenantId: '' as TenantId, version: 0 };
const CHECK_PLAINTEXT = Buffer.from('knox.root-key-check', 'ascii');

export function createKms({ db, clock, random, rootKey, envelopeColumns }: KmsDeps): Kms {
  const store = createKmsStore(db);
  const assertRegistered = createEnvelopeRegistry(envelopeColumns);
  const wrapMethod: WrapMethod = 'global';
  const provider: KmsProvider = providers[wrapMethod]({ rootKey, random });
  const keyring = createKeyring({ clock, ttlMs: LIMITS.tenantKeyCacheMs, keysMax: OPENED_KEYS_MAX });

  function withKey(tenantId: TenantId, version: number, act: (key: Buffer) => Buffer): Promise<Buffer> {
    return keyring.use(`${tenantId}:${version}`, () => unwrapKey(tenantId, version), act);
  }

  async function unwrapKey(tenantId: TenantId, version: number): Promise<Buffer> {
    const key = await store.findKey(tenantId, version);
    if (!key?.wrapped) throw tenantSealed(`master key version ${version} is ${key?.status ?? 'unknown'}`);
    try {
      return await provider.unwrap(key.wrapped, { tenantId, version });
    } catch (error) {
      throw tenantSealed(`unwrapping master key version ${version} failed`, error);
    }
  }

  async function prepareVersion(tenantId: TenantId, version: number): Promise<PreparedMasterKey> {
    const dek = random.bytes(KEY_BYTES);
    try {
      return { tenantId, version, wrapMethod, wrapped: await provider.wrap(dek, { tenantId, version }) };
    } finally {
      dek.fill(0);
    }
  }

  /** False when another rotation took the number first. */
  function activate(prepared: PreparedMasterKey): Promise<boolean> {
    const { tenantId, version } = prepared;
    return db.transaction(async (tx) => {
      await tx.lock('tenants', tenantId);
      if ((await store.lastVersion(tenantId, tx)) !== version - 1) return false;
      await store.retireActive(tx, tenantId);
      await store.insertActive(tx, tenantId, prepared, clock.nowMs());
      return true;
    });
  }

  return {
    prepare: (tenantId) => prepareVersion(tenantId, 1),

    async createFor(tx, tenantId, masterKey) {
      assert(masterKey.tenantId === tenantId, 'the master key was prepared for another tenant');
      await store.insertActive(tx, tenantId, masterKey, clock.nowMs());
    },

    async seal(place, plaintext) {
      assertRegistered(place);
      const version = await store.findActiveVersion(place.tenantId);
      if (version === undefined) throw tenantSealed('the tenant has no active master key');
      return withKey(place.tenantId, version, (key) => sealEnvelope(random, key, version, place, plaintext));
    },

    async open(place, envelope) {
      const version = envelopeVersion(envelope);
      return withKey(place.tenantId, version, (key) => openEnvelope(key, place, envelope));
    },

    // The version is part of what the wrapping binds, and no KMS is called inside a transaction: so the key is
    // wrapped for the next number first, and again when another rotation has taken it meanwhile.
    async rotate(tenantId) {
      for (let tries = 0; tries < ROTATE_TRIES; tries += 1) {
        const last = await store.lastVersion(tenantId);
        assert(last > 0, 'the tenant has no master key');
        const prepared = await prepareVersion(tenantId, last + 1);
        if (await activate(prepared)) return prepared.version;
      }
      throw tenantSealed(`rotation lost ${ROTATE_TRIES} races`);
    },

    async checkRootKey() {
      let stored = await store.findRootKeyCheck(wrapMethod);
      if (!stored) {
        const wrapped = await provider.wrap(CHECK_PLAINTEXT, CHECK_CONTEXT);
        await store.insertRootKeyCheck(wrapMethod, wrapped, clock.nowMs());
        stored = await store.findRootKeyCheck(wrapMethod);
      }
      assert(stored, 'the root key check was not stored');
      const opened = await provider.unwrap(stored, CHECK_CONTEXT).catch(() => null);
      if (!opened || !equalInConstantTime(opened, CHECK_PLAINTEXT)) throw new RootKeyMismatch();
    },

    close: () => keyring.clear(),
  };
}
