import { isAppError } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import { DecryptionRefused } from '../../platform/crypto/authenticated-cipher.js';
import { decryptionFailed } from './errors.js';
import { openPortable, type Portable } from './portable-format.js';
import type { PortableKey } from './portable-keys.js';
import { jsonOf } from './portable-values.js';
import type { CryptoKeys } from './service.js';

/** As JSON text; 400 `decryption_failed` whatever is wrong, 410 of a destroyed version. */
export type OpenPortable = (
  scope: Scope,
  key: PortableKey,
  portable: Portable,
  role: string,
) => Promise<Secret<string>>;

export function createOpenPortable(cryptoKeys: Pick<CryptoKeys, 'use'>): OpenPortable {
  return (scope, key, portable, role) =>
    withVersion(cryptoKeys, scope, key, portable, (privateKey) => {
      const bytes = openPortable(privateKey, portable, role);
      try {
        return new Secret(jsonOf(portable.datatype, bytes));
      } finally {
        bytes.fill(0);
      }
    });
}

/** The same refusals without opening. */
export async function withVersion<T>(
  cryptoKeys: Pick<CryptoKeys, 'use'>,
  scope: Scope,
  key: PortableKey,
  { keyRef }: Portable,
  act: (privateKey: Buffer) => T,
): Promise<T> {
  try {
    return await cryptoKeys.use(scope, key.id, keyRef.version, act);
  } catch (error) {
    if (error instanceof DecryptionRefused || isAppError(error, 'not_found')) throw decryptionFailed();
    throw error;
  }
}
