import { assert } from '../../../kernel/assert.js';
import { validationError } from '../../../kernel/errors.js';
import type { RsaPadding, SignatureHash, SignatureScheme } from '../../../platform/crypto/signatures.js';
import type { KeyType } from '../tables.js';

/** What an RSA key leaves open. */
export interface RsaOptions {
  readonly padding?: RsaPadding | undefined;
  readonly hash?: SignatureHash | undefined;
}

const FIXED: Partial<Record<KeyType, SignatureScheme>> = {
  'hmac-sha256': { family: 'hmac', hash: 'sha256' },
  'hmac-sha512': { family: 'hmac', hash: 'sha512' },
  'ecdsa-p256': { family: 'ecdsa', hash: 'sha256', scalarBytes: 32 },
  'ecdsa-p384': { family: 'ecdsa', hash: 'sha384', scalarBytes: 48 },
  ed25519: { family: 'ed25519' },
};

/** Of a key that signs (`assertCan`). 400 where an option is given to a type that leaves nothing open. */
export function schemeOf(keyType: KeyType, { padding, hash }: RsaOptions): SignatureScheme {
  if (keyType.startsWith('rsa-')) return { family: 'rsa', padding: padding ?? 'pss', hash: hash ?? 'sha256' };
  const scheme = FIXED[keyType];
  assert(scheme, 'the type of key signs');
  for (const [field, value] of [
    ['rsa_padding', padding],
    ['hash', hash],
  ] as const)
    if (value !== undefined)
      throw validationError(field, `is for RSA keys; the type of this key, ${keyType}, says how it signs`);
  return scheme;
}
