import { assert } from '../../kernel/assert.js';
import type { Scope } from '../../kernel/ids.js';
import { actorOf, type Caller, subjectOf } from '../../kernel/principal.js';
import { type Database, UniqueViolation } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { cryptoEntry } from './audit.js';
import { decryptionFailed } from './errors.js';
import { assertCan, canDo } from './operation-of.js';
import type { Portable, PortableKeyRef } from './portable-format.js';
import type { CryptoKeys } from './service.js';
import type { CryptoKey } from './store.js';

/** Made on first use (clients-pki.md §5). */
export const DEFAULT_KEY = 'kc-default';

/** A key that has a name: a vault's own has none, and is no portable key whoever asks for it. */
export interface PortableKey extends CryptoKey {
  readonly name: string;
}

/** Under which keys portable values travel. */
export interface PortableKeys {
  /** The named one, else the default of the scope, which the first call makes; 404, and 400 of another type. */
  forSealing(caller: Caller, name?: string): Promise<PortableKey>;
  /** The one that a ciphertext names, if it is one of this scope. */
  named(scope: Scope, keyRef: PortableKeyRef): Promise<PortableKey | undefined>;
  /** The same; 400 `decryption_failed`. */
  forOpening(scope: Scope, portable: Portable): Promise<PortableKey>;
}

export interface PortableKeysDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly cryptoKeys: Pick<CryptoKeys, 'prepare' | 'createFor' | 'find' | 'getNamed'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
}

export function createPortableKeys({ db, cryptoKeys, auditLogs }: PortableKeysDeps): PortableKeys {
  /** Of several first uses at once one makes the key. */
  async function defaultKey(caller: Caller): Promise<CryptoKey> {
    const { scope } = caller.principal;
    const known = await cryptoKeys.find(scope, DEFAULT_KEY);
    if (known) return known;
    const createdBy = subjectOf(caller.principal);
    const prepared = await cryptoKeys.prepare(scope, 'ecdh-p256', DEFAULT_KEY, { createdBy });
    try {
      await db.transaction(async (tx) => {
        await cryptoKeys.createFor(tx, prepared);
        await auditLogs.record(
          tx,
          actorOf(caller),
          cryptoEntry('crypto.create', prepared, { key_type: prepared.keyType }),
        );
      });
    } catch (error) {
      if (!(error instanceof UniqueViolation)) throw error;
    }
    const made = await cryptoKeys.find(scope, DEFAULT_KEY);
    assert(made, 'a key that was made is found');
    return made;
  }

  async function named(scope: Scope, { tenantId, keyId, version }: PortableKeyRef) {
    const key = tenantId === scope.tenantId ? await cryptoKeys.find(scope, keyId) : undefined;
    const isPortable = key && canDo(key.keyType, 'portable') && version <= key.currentVersion;
    return isPortable && hasName(key) ? key : undefined;
  }

  return {
    async forSealing(caller, name = DEFAULT_KEY) {
      const isDefault = name === DEFAULT_KEY;
      const key = await (isDefault ? defaultKey(caller) : cryptoKeys.getNamed(caller.principal.scope, name));
      assertCan(key, 'portable', 'key');
      assert(hasName(key), 'a key that is called by its name has one');
      return key;
    },

    named,

    async forOpening(scope, { keyRef }) {
      const key = await named(scope, keyRef);
      if (!key) throw decryptionFailed();
      return key;
    },
  };
}

function hasName(key: CryptoKey): key is PortableKey {
  return key.name !== null;
}
