import { isAppError } from '../../../kernel/errors.js';
import type { Scope } from '../../../kernel/ids.js';
import { inRsaTurn } from '../../../platform/crypto/rsa-turns.js';
import {
  type EcdsaForm,
  isGoodSignature,
  type SignatureScheme,
  signingKeyOf,
  signMessage,
  verifyingKeyOf,
} from '../../../platform/crypto/signatures.js';
import type { CryptoKeys } from '../service.js';
import type { ActiveKey, KeyIdentity } from '../store.js';

/** How a message is signed, or was. */
export interface Signing {
  readonly scheme: SignatureScheme;
  readonly form?: EcdsaForm;
  readonly message: Uint8Array;
}

export type Judgement = 'good' | 'bad' | 'destroyed' | 'unknown';

/** Signatures under a version of a key. */
export interface SigningVersions {
  sign(scope: Scope, key: ActiveKey, signing: Signing): Promise<Buffer>;
  /** With the public half where there is one, so that a sealed tenant's signatures are still verified. */
  judge(
    scope: Scope,
    key: KeyIdentity,
    version: number,
    signing: Signing,
    signature: Buffer,
  ): Promise<Judgement>;
  /** Those that are not destroyed, newest first, and no more than a call may try. */
  listTried(scope: Scope, key: KeyIdentity): Promise<readonly number[]>;
}

/** Of a bare signature, which does not say which one made it. */
const VERSIONS_TRIED_MAX = 20;

export function createSigningVersions(
  cryptoKeys: Pick<CryptoKeys, 'listUsable' | 'publicKeyOf' | 'use'>,
): SigningVersions {
  async function verifyingKey(scope: Scope, key: KeyIdentity, version: number, { scheme }: Signing) {
    return scheme.family === 'hmac'
      ? cryptoKeys.use(scope, key.id, version, (bytes) => signingKeyOf('hmac', bytes))
      : verifyingKeyOf(await cryptoKeys.publicKeyOf(scope, key.id, version));
  }

  return {
    async sign(scope, key, { scheme, form, message }) {
      // The library's key is taken along: an RSA signature is made in a thread, while the bytes are lent for this turn alone.
      const lend = () =>
        cryptoKeys.use(scope, key.id, key.currentVersion, (bytes) => signingKeyOf(scheme.family, bytes));
      const signingKey = await lend();
      if (scheme.family !== 'rsa') return signMessage(signingKey, scheme, message, form);
      // As it is when its turn has come: it may be destroyed meanwhile.
      return inRsaTurn(scope.tenantId, async () => signMessage(await lend(), scheme, message, form));
    },

    async judge(scope, key, version, signing, signature) {
      try {
        const verifying = await verifyingKey(scope, key, version, signing);
        const { scheme, message, form } = signing;
        return isGoodSignature(verifying, scheme, message, signature, form) ? 'good' : 'bad';
      } catch (error) {
        if (isAppError(error, 'key_version_destroyed')) return 'destroyed';
        if (isAppError(error, 'not_found')) return 'unknown';
        throw error;
      }
    },

    listTried: (scope, key) => cryptoKeys.listUsable(scope, key.id, VERSIONS_TRIED_MAX),
  };
}
