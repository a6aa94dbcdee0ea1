import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import { isAppError } from '../../kernel/errors.js';
import type { TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Secret } from '../../kernel/secret.js';
import type { Generations } from '../../platform/cache/generations.js';
import { KEY_BYTES } from '../../platform/crypto/authenticated-cipher.js';
import {
  type EnvelopePlace,
  envelopeVersion,
  openEnvelope,
  sealEnvelope,
} from '../../platform/crypto/envelope-cipher.js';
import { createKeyring } from '../../platform/crypto/keyring.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { CloudKey } from './cloud-key.js';
import { createEnvelopeRegistry, type EnvelopeColumn } from './envelope-columns.js';
import { RootKeyMismatch, tenantSealed } from './errors.js';
import type { CloudProviders } from './providers/index.js';
import { KmsFailure } from './providers/types.js';
import { createRootKey, type RootKeyChange } from './root-key.js';
import { createKmsStore, type NewMasterKey } from './store.js';
import type { WrapMethod } from './tables.js';
import { createWrappingKeys, type OperatorKmsChange } from './wrapping-keys.js';

/** A master key made and wrapped outside any transaction, for one tenant and one version number. */
export interface PreparedMasterKey extends NewMasterKey {
  readonly tenantId: TenantId;
  /** The check value of the root key that wraps it. */
  readonly rootKeyCheck: Buffer;
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
  /** Hears when an opened master key of the tenant leaves memory: what was opened with it has to leave too. */
  onForget(listener: (tenantId: TenantId) => void): void;
}

const GENERATION = 'tenant_kms:';

/**
 * The generation that every change of a tenant's master-key versions or KMS configuration bumps in its transaction:
 * opened master keys, and the keys opened with them, leave the memory of every process within 1 s.
 */
export function kmsGeneration(tenantId: TenantId): string {
  return `${GENERATION}${tenantId}`;
}

export interface Kms extends TenantKeys {
  /** Opens an envelope and seals its content under that version. May call a KMS; for the pass that follows a rotation. */
  reseal(place: EnvelopePlace, envelope: Buffer, version: number): Promise<Buffer>;
  /** Why that version cannot be used, as `tenant_sealed` would say it; null where it can. May call a KMS. */
  faultOf(tenantId: TenantId, version: number): Promise<string | null>;
  /** The next version becomes the active one, the former is retired; returns the new number. */
  rotate(tenantId: TenantId): Promise<number>;
  /** At the start: throws `RootKeyMismatch` when the stored data was wrapped with another root key. */
  checkRootKey(): Promise<void>;
  /** At the start, before the check: wraps everything anew that the former root key has wrapped. */
  changeRootKey(former: Secret<Buffer>): Promise<RootKeyChange | null>;
  /**
   * At the start, after the check: proves the operator's KMS and has it wrap every master key that the root key or
   * another key of the operator wraps. Null where there is none. Throws `OperatorKmsRefused`.
   */
  useOperatorKms(): Promise<OperatorKmsChange | null>;
  /** A text of the installation that stays as the first start made it, also when the root key changes. */
  installationText(name: string, make: () => string): Promise<string>;
  /** Zeroes every opened key. */
  close(): void;
}

export interface KmsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly generations: Pick<Generations, 'bump' | 'onChange'>;
  readonly rootKey: Secret<Buffer>;
  readonly cloudProviders: CloudProviders;
  /** KNOX_KMS_OPERATOR_*: what wraps new master keys; null = the root key. */
  readonly operatorKey: CloudKey | null;
  /** Those of every capability that seals. */
  readonly envelopeColumns: readonly EnvelopeColumn[];
}

const OPENED_KEYS_MAX = 10_000;
const ROTATE_TRIES = 8;
const NOTHING = Buffer.alloc(0);

/** How long an opened master key is kept (kms-admin.md §3.4). */
const CACHE_MS: Readonly<Record<WrapMethod, number>> = {
  global: LIMITS.tenantKeyCacheMs,
  operator_kms: LIMITS.tenantKeyCacheMs,
  customer_kms: LIMITS.customerKeyCacheMs,
};

export function createKms(deps: KmsDeps): Kms {
  const { db, clock, random, generations, rootKey, cloudProviders, operatorKey } = deps;
  const store = createKmsStore(db);
  const assertRegistered = createEnvelopeRegistry(deps.envelopeColumns);
  const root = createRootKey({ db, store, clock, random, key: rootKey });
  const wrappingKeys = createWrappingKeys({ db, store, root: root.provider, cloudProviders, operatorKey });
  const forgetListeners: ((tenantId: TenantId) => void)[] = [];
  const tellForgotten = (tenantId: TenantId) => {
    for (const listener of forgetListeners) listener(tenantId);
  };
  const keyring = createKeyring({
    clock,
    ttlMs: LIMITS.tenantKeyCacheMs,
    keysMax: OPENED_KEYS_MAX,
    onLeave: (name) => tellForgotten(name.slice(0, name.indexOf(':')) as TenantId),
  });
  generations.onChange((name) => {
    if (name.startsWith(GENERATION)) keyring.forget(`${name.slice(GENERATION.length)}:`);
  });

  async function withKey(tenantId: TenantId, version: number, act: (key: Buffer) => Buffer): Promise<Buffer> {
    return keyring.use(`${tenantId}:${version}`, (keepFor) => unwrapKey(tenantId, version, keepFor), act);
  }

  async function openUnderItsVersion(place: EnvelopePlace, envelope: Buffer): Promise<Buffer> {
    const version = envelopeVersion(envelope);
    return withKey(place.tenantId, version, (key) => openEnvelope(key, place, envelope));
  }

  async function sealUnder(version: number, place: EnvelopePlace, plaintext: Buffer): Promise<Buffer> {
    return withKey(place.tenantId, version, (key) => sealEnvelope(random, key, version, place, plaintext));
  }

  async function unwrapKey(
    tenantId: TenantId,
    version: number,
    keepFor: (ttlMs: number) => void,
  ): Promise<Buffer> {
    const key = await store.findKey(tenantId, version);
    if (!key?.wrapped) throw tenantSealed(`master key version ${version} is ${key?.status ?? 'unknown'}`);
    // Before the KMS is asked: what it grants counts from the question, not from the answer.
    keepFor(CACHE_MS[key.wrapMethod]);
    try {
      return await wrappingKeys.providerOf(key).unwrap(key.wrapped, { tenantId, version });
    } catch (error) {
      throw tenantSealed(unopenedText(key.wrapMethod, version, error), error);
    }
  }

  async function prepareVersion(tenantId: TenantId, version: number): Promise<PreparedMasterKey> {
    const rootKeyCheck = await root.check().catch((error) => {
      throw error instanceof RootKeyMismatch ? tenantSealed(error.message, error) : error;
    });
    const dek = random.bytes(KEY_BYTES);
    try {
      return { tenantId, version, ...(await wrappingKeys.wrap(dek, { tenantId, version })), rootKeyCheck };
    } catch (error) {
      throw error instanceof KmsFailure ? tenantSealed(`no key was wrapped: ${error.message}`, error) : error;
    } finally {
      dek.fill(0);
    }
  }

  /** False when another rotation took the number first. */
  function activate(prepared: PreparedMasterKey): Promise<boolean> {
    const { tenantId, version } = prepared;
    return db.transaction(async (tx) => {
      await tx.lock('tenants', tenantId);
      await root.assertUnchanged(tx, prepared.rootKeyCheck);
      if ((await store.lastVersion(tenantId, tx)) !== version - 1) return false;
      await store.retireActive(tx, tenantId);
      await store.insertActive(tx, tenantId, prepared, clock.nowMs());
      await generations.bump(tx, kmsGeneration(tenantId));
      return true;
    });
  }

  return {
    prepare: (tenantId) => prepareVersion(tenantId, 1),

    async createFor(tx, tenantId, masterKey) {
      assert(masterKey.tenantId === tenantId, 'the master key was prepared for another tenant');
      await root.assertUnchanged(tx, masterKey.rootKeyCheck);
      await store.insertActive(tx, tenantId, masterKey, clock.nowMs());
    },

    async seal(place, plaintext) {
      assertRegistered(place);
      const version = await store.findActiveVersion(place.tenantId);
      if (version === undefined) throw tenantSealed('the tenant has no active master key');
      return sealUnder(version, place, plaintext);
    },

    open: openUnderItsVersion,

    async reseal(place, envelope, version) {
      assertRegistered(place);
      const plaintext = await openUnderItsVersion(place, envelope);
      try {
        return await sealUnder(version, place, plaintext);
      } finally {
        plaintext.fill(0);
      }
    },

    async faultOf(tenantId, version) {
      try {
        await withKey(tenantId, version, () => NOTHING);
        return null;
      } catch (error) {
        if (isAppError(error, 'tenant_sealed')) return error.detail ?? error.message;
        throw error;
      }
    },

    onForget: (listener) => void forgetListeners.push(listener),

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
      await root.check();
    },

    changeRootKey: (former) => root.changeFrom(former),

    useOperatorKms: () => wrappingKeys.useOperatorKms(),

    async installationText(name, make) {
      const stored = await store.findInstallationText(name);
      if (stored !== undefined) return stored;
      await store.insertInstallationText(name, make(), clock.nowMs());
      const first = await store.findInstallationText(name);
      assert(first !== undefined, `the installation's ${name} was not stored`);
      return first;
    },

    close: () => keyring.clear(),
  };
}

function unopenedText(wrapMethod: WrapMethod, version: number, error: unknown): string {
  if (wrapMethod === 'global') {
    return `the root key does not open master key version ${version}; if another process has changed it, start this one with the new one`;
  }
  const why = error instanceof KmsFailure ? error.message : 'unknown';
  return `${wrapMethod} does not open master key version ${version}: ${why}`;
}
