import { assert } from '../../kernel/assert.js';
import { isAppError, permissionMissing } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import { DecryptionRefused } from '../../platform/crypto/authenticated-cipher.js';
import type { Random } from '../../platform/crypto/random.js';
import { type Database, UniqueViolation } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { cryptoEntry } from './audit.js';
import { decryptionFailed } from './errors.js';
import { openPortable, type Portable, type PortableDatatype, sealPortable } from './portable-format.js';
import type { CryptoKeys } from './service.js';
import type { CryptoKey } from './store.js';

/** Made on first use (clients-pki.md §5). */
export const DEFAULT_KEY = 'kc-default';
const NO_ROLE = '';

/** Values that travel sealed and are opened when they come back, under named keys; a vault's own key is not among them. */
export interface PortableCipher {
  /** JSON texts, each sealed under the tenant's default key. The audit rows are durable before this resolves. */
  sealForProxy(caller: Caller, texts: readonly string[]): Promise<Secret<string>[]>;
  /** As JSON texts. 403 without `crypto:decrypt`. All or nothing; the audit rows are durable before this resolves. */
  openForProxy(caller: Caller, portables: readonly Portable[]): Promise<Secret<string>[]>;
  /** Refuses what `openForProxy` would, but for a forged ciphertext, which only opening finds. */
  checkForProxy(caller: Caller, portables: readonly Portable[]): Promise<void>;
}

export interface PortableCipherDeps {
  readonly db: Pick<Database, 'transaction' | 'commitInserts'>;
  readonly random: Random;
  readonly cryptoKeys: Pick<CryptoKeys, 'prepare' | 'createFor' | 'find' | 'use'>;
  readonly auditLogs: Pick<AuditLogs, 'insertion'>;
}

export function createPortableCipher(deps: PortableCipherDeps): PortableCipher {
  const { db, random, cryptoKeys, auditLogs } = deps;

  /** Of several first uses at once one makes the key. */
  async function defaultKey(scope: Scope): Promise<CryptoKey> {
    const known = await cryptoKeys.find(scope, DEFAULT_KEY);
    if (known) return known;
    const prepared = await cryptoKeys.prepare(scope, 'ecdh-p256', DEFAULT_KEY);
    try {
      await db.transaction((tx) => cryptoKeys.createFor(tx, prepared));
    } catch (error) {
      if (!(error instanceof UniqueViolation)) throw error;
    }
    const made = await cryptoKeys.find(scope, DEFAULT_KEY);
    assert(made, 'a key that was made is found');
    return made;
  }

  async function withKey<T>(scope: Scope, portable: Portable, use: (privateKey: Buffer) => T) {
    const { tenantId, keyId, version } = portable.keyRef;
    const key = tenantId === scope.tenantId ? await cryptoKeys.find(scope, keyId) : undefined;
    if (!key || key.name === null || key.keyType !== 'ecdh-p256') throw decryptionFailed();
    try {
      return { key, version, result: await cryptoKeys.use(scope, keyId, version, use) };
    } catch (error) {
      if (error instanceof DecryptionRefused || isAppError(error, 'not_found')) throw decryptionFailed();
      throw error;
    }
  }

  async function open(scope: Scope, portable: Portable) {
    const { key, version, result } = await withKey(scope, portable, (privateKey) => {
      const bytes = openPortable(privateKey, portable, NO_ROLE);
      try {
        return new Secret(jsonOf(portable.datatype, bytes));
      } finally {
        bytes.fill(0);
      }
    });
    return { key, version, opened: result };
  }

  return {
    async sealForProxy(caller, texts) {
      const { scope } = caller.principal;
      const key = await defaultKey(scope);
      const version = key.currentVersion;
      const keyRef = { tenantId: scope.tenantId, keyId: key.id, version };
      const sealed = await cryptoKeys.use(scope, key.id, version, (privateKey) =>
        texts.map((text) => {
          const plaintext = Buffer.from(text);
          return new Secret(
            sealPortable(random, privateKey, { keyRef, datatype: 'j', plaintext, role: NO_ROLE }),
          );
        }),
      );
      const entry = cryptoEntry('crypto.encrypt', key, { version, via: 'ephemeral_proxy' });
      await db.commitInserts(texts.map(() => auditLogs.insertion(actorOf(caller), entry)));
      return sealed;
    },

    async openForProxy(caller, portables) {
      if (!caller.principal.may('crypto:decrypt')) throw permissionMissing('crypto:decrypt');
      const { scope } = caller.principal;
      const found = await Promise.all(portables.map((portable) => open(scope, portable)));
      await db.commitInserts(
        found.map(({ key, version }) =>
          auditLogs.insertion(
            actorOf(caller),
            cryptoEntry('crypto.decrypt', key, { version, via: 'ephemeral_proxy' }),
          ),
        ),
      );
      return found.map(({ opened }) => opened);
    },

    async checkForProxy(caller, portables) {
      if (!caller.principal.may('crypto:decrypt')) throw permissionMissing('crypto:decrypt');
      const { scope } = caller.principal;
      await Promise.all(portables.map((portable) => withKey(scope, portable, () => undefined)));
    },
  };
}

/** Whoever has the public key can seal any text as a number: what is no JSON would be put into the body as it stands. */
function jsonOf(datatype: PortableDatatype, bytes: Buffer): string {
  if (datatype === 'x') return JSON.stringify(bytes.toString('base64'));
  const text = bytes.toString('utf8');
  if (datatype === 's') return JSON.stringify(text);
  try {
    JSON.parse(text);
  } catch {
    throw new DecryptionRefused();
  }
  return text;
}
