import type { SignatureScheme } from '../../../platform/crypto/signatures.js';
import type { KeyType } from '../tables.js';

/** RFC 7518 §3.1, RFC 8037 §3.1. */
export const JWT_SCHEMES = {
  HS256: { family: 'hmac', hash: 'sha256' },
  HS512: { family: 'hmac', hash: 'sha512' },
  RS256: { family: 'rsa', hash: 'sha256', padding: 'pkcs1v15' },
  PS256: { family: 'rsa', hash: 'sha256', padding: 'pss' },
  ES256: { family: 'ecdsa', hash: 'sha256', scalarBytes: 32 },
  ES384: { family: 'ecdsa', hash: 'sha384', scalarBytes: 48 },
  EdDSA: { family: 'ed25519' },
} as const satisfies Record<string, SignatureScheme>;

export type JwtAlgorithm = keyof typeof JWT_SCHEMES;
export const JWT_ALGORITHMS = Object.keys(JWT_SCHEMES) as [JwtAlgorithm, ...JwtAlgorithm[]];

const RSA: readonly JwtAlgorithm[] = ['RS256', 'PS256'];

/** Those of each type of key, the default first; a token of any other was not made with the key (RFC 8725 §3.1). */
const ALGORITHMS_OF: Partial<Record<KeyType, readonly JwtAlgorithm[]>> = {
  'hmac-sha256': ['HS256'],
  'hmac-sha512': ['HS512'],
  'rsa-2048': RSA,
  'rsa-3072': RSA,
  'rsa-4096': RSA,
  'ecdsa-p256': ['ES256'],
  'ecdsa-p384': ['ES384'],
  ed25519: ['EdDSA'],
};

/** Empty where the type signs nothing. */
export function jwtAlgorithmsOf(keyType: KeyType): readonly JwtAlgorithm[] {
  return ALGORITHMS_OF[keyType] ?? [];
}
