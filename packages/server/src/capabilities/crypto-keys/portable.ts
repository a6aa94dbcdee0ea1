import { permissionMissing } from '../../kernel/errors.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Database } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { cryptoEntry } from './audit.js';
import { createPortableDocuments, type PortableDocuments } from './portable-documents.js';
import { type Portable, sealPortable } from './portable-format.js';
import { createPortableKeys } from './portable-keys.js';
import { createOpenPortable, withVersion } from './portable-opening.js';
import type { CryptoKeys } from './service.js';

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
  readonly cryptoKeys: Pick<
    CryptoKeys,
    'prepare' | 'createFor' | 'find' | 'getNamed' | 'use' | 'publicKeyOf'
  >;
  readonly auditLogs: Pick<AuditLogs, 'record' | 'insertion'>;
}

export function createPortableCipher(deps: PortableCipherDeps): PortableCipher & PortableDocuments {
  const { db, random, cryptoKeys, auditLogs } = deps;
  const keys = createPortableKeys(deps);
  const open = createOpenPortable(cryptoKeys);

  return {
    ...createPortableDocuments({ ...deps, keys, open }),

    async sealForProxy(caller, texts) {
      const { scope } = caller.principal;
      const key = await keys.forSealing(caller);
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
      const found = await Promise.all(
        portables.map(async (portable) => {
          const key = await keys.forOpening(scope, portable);
          return { key, portable, opened: await open(scope, key, portable, NO_ROLE) };
        }),
      );
      await db.commitInserts(
        found.map(({ key, portable }) => {
          const { version } = portable.keyRef;
          const entry = cryptoEntry('crypto.decrypt', key, { version, via: 'ephemeral_proxy' });
          return auditLogs.insertion(actorOf(caller), entry);
        }),
      );
      return found.map(({ opened }) => opened);
    },

    async checkForProxy(caller, portables) {
      if (!caller.principal.may('crypto:decrypt')) throw permissionMissing('crypto:decrypt');
      const { scope } = caller.principal;
      await Promise.all(
        portables.map(async (portable) => {
          const key = await keys.forOpening(scope, portable);
          await withVersion(cryptoKeys, scope, key, portable, () => undefined);
        }),
      );
    },
  };
}
