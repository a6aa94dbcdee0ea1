import { assert } from '../../kernel/assert.js';
import type { TenantId } from '../../kernel/ids.js';
import { KEY_BYTES } from '../../platform/crypto/authenticated-cipher.js';
import { equalInConstantTime } from '../../platform/crypto/hashing.js';
import type { Database } from '../../platform/storage/database.js';
import type { OperatorKey } from './cloud-key.js';
import { cloudKeyOfText, cloudKeyText } from './cloud-key-text.js';
import { operatorKmsFailed, operatorKmsMissing } from './errors.js';
import type { CloudProviders } from './providers/index.js';
import { KmsFailure, type KmsProvider, type WrapContext } from './providers/types.js';
import type { RootKey } from './root-key.js';
import type { KmsStore, MasterKey, WrappedMasterKey, Wrapping } from './store.js';
import type { Wrap } from './versions.js';

const REWRAP_BATCH_ROWS = 100;
/** Calls of one start to the operator's KMS under way. */
const REWRAP_CALLS_MAX = 10;

export interface OperatorKmsChange {
  readonly wrappedBy: 'operator_kms' | 'global';
  /** Master keys that this start has had wrapped anew. */
  readonly rewrapped: number;
  /** What could not be opened: it stays as it is. */
  readonly unreadable: readonly string[];
  /** The key wraps master keys already and does not answer now: their tenants are sealed until it does. */
  readonly failure: KmsFailure | null;
}

/** As it is read from its row. */
type StoredVersion = Pick<MasterKey, 'version' | 'wrapMethod' | 'kmsKey' | 'wrapped'>;

/** What wraps master keys: the root key, the operator's KMS or a tenant's (kms-admin.md §3.1). */
export interface WrappingKeys {
  /** By what is in force for new keys. */
  wrap(dek: Buffer, context: WrapContext): Promise<Wrapping>;
  /** By a tenant's own key, as `cloudKeyText` writes it. What it does not open again is not taken. */
  wrapBy(kmsKey: string): Wrap;
  /** By the key that the version names. */
  unwrap(tenantId: TenantId, key: StoredVersion): Promise<Buffer>;
  /** Of the key that a stored version names: a later one may be wrapped elsewhere. */
  providerOf(wrapping: Pick<Wrapping, 'wrapMethod' | 'kmsKey'>): Pick<KmsProvider, 'unwrap' | 'probe'>;
  useOperatorKms(): Promise<OperatorKmsChange | null>;
}

export interface WrappingKeysDeps {
  readonly db: Database;
  readonly store: KmsStore;
  readonly root: Pick<RootKey, 'provider' | 'check' | 'assertUnchanged'>;
  readonly cloudProviders: CloudProviders;
  readonly operatorKey: OperatorKey;
}

export function createWrappingKeys(deps: WrappingKeysDeps): WrappingKeys {
  const { db, store, root, cloudProviders, operatorKey } = deps;
  const operator =
    operatorKey === null || operatorKey === 'given_up'
      ? null
      : { provider: cloudProviders(operatorKey, 'operator_kms'), kmsKey: cloudKeyText(operatorKey) };

  async function wrap(dek: Buffer, context: WrapContext): Promise<Wrapping> {
    const { provider, kmsKey } = operator ?? { provider: root.provider, kmsKey: null };
    const wrapped = await provider.wrap(dek, context);
    return { wrapMethod: provider.describe().wrapMethod, kmsKey, wrapped };
  }

  const wrapBy =
    (kmsKey: string): Wrap =>
    async (dek, context) => {
      const provider = cloudProviders(cloudKeyOfText(kmsKey, 'tenant'), 'customer_kms');
      const wrapped = await provider.wrap(dek, context);
      const opened = await provider.unwrap(wrapped, context);
      const isSame = equalInConstantTime(opened, dek);
      opened.fill(0);
      if (!isSame) throw new KmsFailure('bad_ciphertext', 'key', 'key_changed');
      return { wrapMethod: 'customer_kms', kmsKey, wrapped };
    };

  async function unwrap(tenantId: TenantId, key: StoredVersion): Promise<Buffer> {
    assert(key.wrapped, 'a revoked version is opened by nobody');
    const opened = await providerOf(key).unwrap(key.wrapped, { tenantId, version: key.version });
    if (opened.length !== KEY_BYTES) throw new KmsFailure('bad_ciphertext', 'key', 'not_a_master_key');
    return opened;
  }

  function providerOf({ wrapMethod, kmsKey }: Pick<Wrapping, 'wrapMethod' | 'kmsKey'>) {
    if (wrapMethod === 'global') return root.provider;
    const owner = wrapMethod === 'customer_kms' ? 'tenant' : 'operator';
    return cloudProviders(cloudKeyOfText(kmsKey, owner), wrapMethod);
  }

  async function useOperatorKms(): Promise<OperatorKmsChange | null> {
    if (operator === null) {
      if (!(await store.hasKeysWrapped('operator_kms'))) return null;
      if (operatorKey === null) throw operatorKmsMissing();
      return rewrapAll(null);
    }
    try {
      await operator.provider.probe();
    } catch (error) {
      if (!(error instanceof KmsFailure)) throw error;
      // A key that has never worked is a mistake; one that has may be away for a while, and other tenants are served.
      if (!(await store.hasKeysWrapped('operator_kms', operator.kmsKey))) throw operatorKmsFailed(error);
      return { wrappedBy: 'operator_kms', rewrapped: 0, unreadable: [], failure: error };
    }
    return rewrapAll(operator.kmsKey);
  }

  /** By the key of that text; null = the root key. */
  async function rewrapAll(kmsKey: string | null): Promise<OperatorKmsChange> {
    const rootKeyCheck = kmsKey === null ? await root.check() : null;
    const unreadable: string[] = [];
    let rewrapped = 0;
    let last: WrapContext = { tenantId: '' as TenantId, version: 0 };
    for (;;) {
      const keys = await store.listWrappedMasterKeys(['global', 'operator_kms'], last, REWRAP_BATCH_ROWS);
      const end = keys.at(-1);
      if (!end) {
        return {
          wrappedBy: kmsKey === null ? 'global' : 'operator_kms',
          rewrapped,
          unreadable,
          failure: null,
        };
      }
      last = end;
      const due = keys.filter((key) => key.kmsKey !== kmsKey);
      for (let from = 0; from < due.length; from += REWRAP_CALLS_MAX) {
        const some = due.slice(from, from + REWRAP_CALLS_MAX);
        const done = await Promise.all(some.map(rewrapOne));
        await db.transaction(async (tx) => {
          if (rootKeyCheck !== null) await root.assertUnchanged(tx, rootKeyCheck);
          for (const [index, to] of done.entries()) {
            if (to !== null) await store.rewrapMasterKey(tx, some[index]!, to);
          }
        });
        for (const [index, to] of done.entries()) {
          if (to !== null) rewrapped += 1;
          else unreadable.push(`master key ${some[index]!.version} of tenant ${some[index]!.tenantId}`);
        }
      }
    }
  }

  /** Null where what wraps it now does not open it. */
  async function rewrapOne(key: WrappedMasterKey): Promise<Wrapping | null> {
    let opened: Buffer;
    try {
      opened = await providerOf(key).unwrap(key.wrapped, key);
    } catch (error) {
      if (error instanceof KmsFailure) return null;
      throw error;
    }
    try {
      return await wrap(opened, key);
    } catch (error) {
      throw error instanceof KmsFailure ? operatorKmsFailed(error) : error;
    } finally {
      opened.fill(0);
    }
  }

  return { wrap, wrapBy, unwrap, providerOf, useOperatorKms };
}
