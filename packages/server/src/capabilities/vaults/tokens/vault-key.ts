import { isAppError } from '../../../kernel/errors.js';
import type { Scope } from '../../../kernel/ids.js';
import { isPending, type Promisable } from '../../../kernel/promisable.js';
import { Secret } from '../../../kernel/secret.js';
import type { CryptoKeys } from '../../crypto-keys/index.js';
import type { VaultDefinition } from '../definitions.js';
import { tokenErased } from '../errors.js';

/** Lends a version of the vault's key for one synchronous call; 410 `token_erased` where it was destroyed. */
export function withVaultKey<T>(
  cryptoKeys: Pick<CryptoKeys, 'use'>,
  scope: Scope,
  vault: VaultDefinition,
  version: number,
  act: (key: Buffer) => T,
): Promisable<T> {
  const result = cryptoKeys.use(scope, vault.cryptoKeyId, version, act);
  if (!isPending(result)) return result;
  return result.catch((error) => {
    throw isAppError(error, 'key_version_destroyed') ? tokenErased() : error;
  });
}

/** The bytes are zeroed. */
export function takeText(plaintext: Buffer): Secret<string> {
  try {
    return new Secret(plaintext.toString('utf8'));
  } finally {
    plaintext.fill(0);
  }
}
