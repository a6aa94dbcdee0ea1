import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import { isAppError } from '../../kernel/errors.js';
import type { TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Secret } from '../../kernel/secret.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { CacheCounts } from '../../platform/cache/lru.js';
import {
  type EnvelopePlace,
  envelopeVersion,
  openEnvelope,
  sealEnvelope,
} from '../../platform/crypto/envelope-cipher.js';
import { createKeyring } from '../../platform/crypto/keyring.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Outbox } from '../../platform/outbox/outbox.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { OperatorKey } from './cloud-key.js';
import { createEnvelopeRegistry, type EnvelopeColumn } from './envelope-columns.js';
import { RootKeyMismatch, tenantSealed } from './errors.js';
import type { CloudProviders } from './providers/index.js';
import { KmsFailure } from './providers/types.js';
import { createRootKey, type RootKeyChange } from './root-key.js';
import { createKmsStore, type KmsStore } from './store.js';
import type { WrapMethod } from './tables.js';
import { createSealing, type Sealing } from './tenant-kms/sealing.js';
import { createTenantKmsStore, type TenantKmsStore } from './tenant-kms/store.js';
import {
  createMasterKeyVersions,
  type MasterKeyVersions,
  Overtaken,
  type PreparedMasterKey,
  tenantOfKmsGeneration,
} from './versions.js';
import { createWrappingKeys, type OperatorKmsChange, type WrappingKeys } from './wrapping-keys.js';

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

/** What the services of this folder share. */
export interface KmsParts {
  readonly store: KmsStore;
  readonly configs: TenantKmsStore;
  readonly versions: MasterKeyVersions;
  readonly wrappingKeys: WrappingKeys;
  readonly sealing: Sealing;
}

export interface Kms extends TenantKeys {
  /** Opens an envelope and seals its content under that version. May call a KMS; for the pass that follows a rotation. */
  reseal(place: EnvelopePlace, envelope: Buffer, version: number): Promise<Buffer>;
  /** Why that version cannot be used, as `tenant_sealed` would say it; null where it can. May call a KMS. */
  faultOf(tenantId: TenantId, version: number): Promise<string | null>;
  readonly parts: KmsParts;
  /** The next version becomes the active one, the former is retired; returns the new number. */
  rotate(tenantId: TenantId): Promise<number>;
  /** At the start: throws `RootKeyMismatch` when the stored data was wrapped with another root key. */
  checkRootKey(): Promise<void>;
  /** At the start, before the check: wraps everything anew that the former root key has wrapped. */
  changeRootKey(former: Secret<Buffer>): Promise<RootKeyChange | null>;
  /**
   * A transaction that stores what this process has wrapped by its root key for others than tenants; 503 `tenant_sealed`
   * where another process has changed the root key, since nobody could open it.
   */
  underRootKey<T>(act: (tx: Transaction) => Promise<T>): Promise<T>;
  /**
   * At the start, after the check: proves the operator's KMS and has it wrap every master key that the root key or
   * another key of the operator wraps; where it was given up, has the root key wrap what it has wrapped. Null where there
   * is none. Throws `OperatorKmsRefused`.
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
  readonly outbox: Pick<Outbox, 'publish'>;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  readonly rootKey: Secret<Buffer>;
  readonly cloudProviders: CloudProviders;
  /** KNOX_KMS_OPERATOR_*: what wraps new master keys; null = the root key. */
  readonly operatorKey: OperatorKey;
  /** Of the opened master keys. */
  readonly cacheCounts?: CacheCounts;
  /** Those of every capability that seals. */
  readonly envelopeColumns: readonly EnvelopeColumn[];
}

const OPENED_KEYS_MAX = 10_000;
const NOTHING = Buffer.alloc(0);

export function createKms(deps: KmsDeps): Kms {
  const { db, clock, random, generations, outbox, logger, rootKey, cloudProviders, operatorKey } = deps;
  const store = createKmsStore(db);
  const assertRegistered = createEnvelopeRegistry(deps.envelopeColumns);
  const root = createRootKey({ db, store, clock, random, key: rootKey });
  const wrappingKeys = createWrappingKeys({ db, store, root, cloudProviders, operatorKey });
  const versions = createMasterKeyVersions({ db, store, clock, random, root, generations });
  const configs = createTenantKmsStore(db);
  const sealing = createSealing({ db, clock, store: configs, outbox, logger });
  const forgetListeners: ((tenantId: TenantId) => void)[] = [];
  const tellForgotten = (tenantId: TenantId) => {
    for (const listener of forgetListeners) listener(tenantId);
  };
  const keyring = createKeyring({
    clock,
    ttlMs: LIMITS.tenantKeyCacheMs,
    keysMax: OPENED_KEYS_MAX,
    ...(deps.cacheCounts && { counts: deps.cacheCounts }),
    onLeave: (name) => tellForgotten(name.slice(0, name.indexOf(':')) as TenantId),
  });
  generations.onChange((name) => {
    const tenantId = tenantOfKmsGeneration(name);
    if (tenantId === null) return;
    keyring.forget(`${tenantId}:`);
    sealing.forget(tenantId);
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

  /**
   * How long an opened master key, and what it has opened, is kept (kms-admin.md §3.4). Of a tenant with its own KMS that
   * goes for every version: what one of the root key has opened may be under the tenant's key by now.
   */
  async function cacheMsOf(tenantId: TenantId, wrapMethod: WrapMethod): Promise<number> {
    const isCustomers = wrapMethod === 'customer_kms' || (await configs.find(tenantId)) !== undefined;
    return isCustomers ? LIMITS.customerKeyCacheMs : LIMITS.tenantKeyCacheMs;
  }

  async function unwrapKey(
    tenantId: TenantId,
    version: number,
    keepFor: (ttlMs: number) => void,
  ): Promise<Buffer> {
    const key = await store.findKey(tenantId, version);
    if (!key?.wrapped) throw tenantSealed(`master key version ${version} is ${key?.status ?? 'unknown'}`);
    // Before the KMS is asked: what it grants counts from the question, not from the answer.
    keepFor(await cacheMsOf(tenantId, key.wrapMethod));
    const unwrap = () => wrappingKeys.unwrap(tenantId, key);
    try {
      return await (key.wrapMethod === 'customer_kms' ? sealing.opened(tenantId, key, unwrap) : unwrap());
    } catch (error) {
      if (isAppError(error, 'tenant_sealed')) throw error;
      throw tenantSealed(unopenedText(key.wrapMethod, version, error), error);
    }
  }

  return {
    parts: { store, configs, versions, wrappingKeys, sealing },

    prepare: (tenantId) =>
      sealedWhereNotWrapped(() =>
        versions.prepare(tenantId, 1, (dek, context) => wrappingKeys.wrap(dek, context)),
      ),

    createFor: (tx, tenantId, masterKey) => versions.insertFirst(tx, tenantId, masterKey),

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

    async rotate(tenantId) {
      assert((await store.lastVersion(tenantId)) > 0, 'the tenant has no master key');
      return sealedWhereNotWrapped(() =>
        versions.add(tenantId, async () => {
          const config = await configs.find(tenantId);
          return {
            wrap: config ? wrappingKeys.wrapBy(config.kmsKey) : wrappingKeys.wrap,
            async finish(tx, version) {
              if ((await configs.find(tenantId, tx))?.kmsKey !== config?.kmsKey) throw new Overtaken();
              return version;
            },
          };
        }),
      );
    },

    async checkRootKey() {
      await root.check();
    },

    changeRootKey: (former) => root.changeFrom(former),

    async underRootKey(act) {
      const check = await root.check().catch((error) => {
        throw error instanceof RootKeyMismatch ? tenantSealed(error.message, error) : error;
      });
      return db.transaction(async (tx) => {
        await root.assertUnchanged(tx, check);
        return act(tx);
      });
    },

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

/** No key to be had is 503, also where a new one was to be made. */
async function sealedWhereNotWrapped<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw error instanceof KmsFailure ? tenantSealed(`no key was wrapped: ${error.message}`, error) : error;
  }
}

function unopenedText(wrapMethod: WrapMethod, version: number, error: unknown): string {
  if (wrapMethod === 'global') {
    return `the root key does not open master key version ${version}; if another process has changed it, start this one with the new one`;
  }
  const why = error instanceof KmsFailure ? error.message : 'unknown';
  return `${wrapMethod} does not open master key version ${version}: ${why}`;
}
