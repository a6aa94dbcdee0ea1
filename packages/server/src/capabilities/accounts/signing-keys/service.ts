import { assert } from '../../../kernel/assert.js';
import type { Clock } from '../../../kernel/clock.js';
import { Secret } from '../../../kernel/secret.js';
import {
  DecryptionRefused,
  decrypt,
  deriveKey,
  encrypt,
  lengthPrefixed,
} from '../../../platform/crypto/authenticated-cipher.js';
import type { Random } from '../../../platform/crypto/random.js';
import {
  createTokenSigner,
  newSigningKey,
  type TokenSigner,
} from '../../../platform/crypto/signed-tokens.js';
import type { Database } from '../../../platform/storage/database.js';
import { createSigningKeyStore } from './store.js';

export interface SigningKeysDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly rootKey: Secret<Buffer>;
  /** `KNOX_JWT_SIGNING_KEY`: then nothing is stored. */
  readonly tokenKey: Secret<Buffer> | null;
}

/** What signs admin tokens, the same in every process of the installation. */
export interface SigningKeys {
  adminTokens(): Promise<TokenSigner>;
  /** Wraps anew what `former` has wrapped, so that who is signed in stays so; nothing where that is done. */
  changeRootKey(former: Secret<Buffer>): Promise<void>;
}

const ADMIN_TOKENS = 'admin_jwt';

export function createSigningKeys(deps: SigningKeysDeps): SigningKeys {
  const { db, clock, random, rootKey, tokenKey } = deps;
  const store = createSigningKeyStore(db);
  const wrappingKey = wrappingKeyOf(rootKey);
  const aad = lengthPrefixed(['knox.signing-key', ADMIN_TOKENS]);
  let signer: Promise<TokenSigner> | null = null;

  function open(sealed: Buffer, key = wrappingKey): Secret<Buffer> | null {
    try {
      return new Secret(decrypt(key, aad, sealed));
    } catch (error) {
      if (error instanceof DecryptionRefused) return null;
      throw error;
    }
  }

  async function storedKey(): Promise<Secret<Buffer>> {
    const found = await store.find(ADMIN_TOKENS);
    const present = found && open(found);
    if (present) return present;
    const sealed = encrypt(random, wrappingKey, aad, newSigningKey().reveal());
    if (!found) await store.insert(ADMIN_TOKENS, sealed, clock.nowMs());
    // The root key was changed without the former one: tokens live 15 minutes, and the sessions behind them stand.
    else await store.replace(ADMIN_TOKENS, found, sealed, clock.nowMs());
    const stored = await store.find(ADMIN_TOKENS);
    const key = stored && open(stored);
    assert(key, 'the key of admin tokens is of another root key');
    return key;
  }

  async function load(): Promise<TokenSigner> {
    return createTokenSigner(tokenKey ?? (await storedKey()));
  }

  return {
    adminTokens() {
      signer ??= load().catch((error: unknown) => {
        signer = null;
        throw error;
      });
      return signer;
    },

    async changeRootKey(former) {
      const found = await store.find(ADMIN_TOKENS);
      if (!found || open(found)) return;
      const key = open(found, wrappingKeyOf(former));
      if (!key) return;
      const sealed = encrypt(random, wrappingKey, aad, key.reveal());
      await store.replace(ADMIN_TOKENS, found, sealed, clock.nowMs());
    },
  };
}

/** Derived, because the root key itself wraps tenants' keys. */
function wrappingKeyOf(rootKey: Secret<Buffer>) {
  return deriveKey(rootKey.reveal(), Buffer.alloc(0), `knox.root.${ADMIN_TOKENS}`);
}
