import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { assert } from '../../kernel/assert.js';
import { type CacheCounts, createLru } from '../cache/lru.js';
import type { PublicJwk } from './jwk.js';

interface Algorithm {
  readonly kty: PublicJwk['kty'];
  readonly crv?: string;
  /** Null: the signature's own. */
  readonly hash: 'sha256' | 'sha384' | null;
  /** Of r and of s, where the signature is the two side by side (RFC 7518 §3.4). */
  readonly scalarBytes?: number;
  readonly padding?: number;
}

const EDWARDS: Algorithm = { kty: 'OKP', crv: 'Ed25519', hash: null };

/** RFC 7518 §3, RFC 8037, RFC 9864; the one list of what is taken (contract auth.md §3), best first. */
const ALGORITHMS = {
  ES256: { kty: 'EC', crv: 'P-256', hash: 'sha256', scalarBytes: 32 },
  ES384: { kty: 'EC', crv: 'P-384', hash: 'sha384', scalarBytes: 48 },
  EdDSA: EDWARDS,
  Ed25519: EDWARDS,
  PS256: { kty: 'RSA', hash: 'sha256', padding: constants.RSA_PKCS1_PSS_PADDING },
  RS256: { kty: 'RSA', hash: 'sha256', padding: constants.RSA_PKCS1_PADDING },
} as const satisfies Record<string, Algorithm>;

export type SignatureAlgorithm = keyof typeof ALGORITHMS;

export const SIGNATURE_ALGORITHMS = Object.keys(ALGORITHMS) as readonly SignatureAlgorithm[];

const ED25519_SIGNATURE_BYTES = 64;
const PSS_SALT_BYTES = 32;

export function isSignatureAlgorithm(value: unknown): value is SignatureAlgorithm {
  return typeof value === 'string' && Object.hasOwn(ALGORITHMS, value);
}

export function isKeyOf(algorithm: SignatureAlgorithm, key: PublicJwk): boolean {
  const { kty, crv }: Algorithm = ALGORITHMS[algorithm];
  return key.kty === kty && (crv === undefined || ('crv' in key && key.crv === crv));
}

/** Length and, of r and s, that neither is zero: DER and empty signatures never reach the arithmetic. */
export function isSignatureForm(algorithm: SignatureAlgorithm, key: PublicJwk, signature: Buffer): boolean {
  const { scalarBytes }: Algorithm = ALGORITHMS[algorithm];
  if (scalarBytes !== undefined) {
    const [r, s] = [signature.subarray(0, scalarBytes), signature.subarray(scalarBytes)];
    return s.length === scalarBytes && !isZero(r) && !isZero(s);
  }
  const bytes = key.kty === 'RSA' ? Math.floor((key.n.length * 3) / 4) : ED25519_SIGNATURE_BYTES;
  return signature.length === bytes;
}

/** A key that `readPublicJwk` has let through, by its thumbprint. */
export interface VerifyingKey {
  readonly jwk: PublicJwk;
  readonly thumbprint: string;
}

export interface SignatureVerifier {
  /** At once: a round trip through a thread costs more than the arithmetic (docs/decisions/0071). */
  verify(key: VerifyingKey, algorithm: SignatureAlgorithm, message: Buffer, signature: Buffer): boolean;
}

/** Keeps the keys whose signatures were good: who holds none puts none in. */
export function createSignatureVerifier(options: {
  readonly keysMax: number;
  readonly counts?: CacheCounts;
}): SignatureVerifier {
  const { keysMax, counts } = options;
  const keys = createLru<string, KeyObject>({ entriesMax: keysMax, ...(counts && { counts }) });

  return {
    verify({ jwk, thumbprint }, algorithm, message, signature) {
      assert(isKeyOf(algorithm, jwk), 'the key is one of the algorithm');
      const known = keys.get(thumbprint);
      const key = known ?? imported(jwk);
      if (key === null || !isGood(key, algorithm, message, signature)) return false;
      if (!known) {
        counts?.misses.add();
        keys.put(thumbprint, key);
      }
      return true;
    },
  };
}

/** Null where the library knows better than our bounds, as of an Ed25519 point that is on no curve. */
function imported(jwk: PublicJwk): KeyObject | null {
  try {
    return createPublicKey({ key: { ...jwk }, format: 'jwk' });
  } catch {
    return null;
  }
}

function isGood(key: KeyObject, algorithm: SignatureAlgorithm, message: Buffer, signature: Buffer): boolean {
  const { hash, padding }: Algorithm = ALGORITHMS[algorithm];
  const form = padding === undefined ? {} : { padding, saltLength: PSS_SALT_BYTES };
  return verify(hash, message, { key, dsaEncoding: 'ieee-p1363', ...form }, signature);
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}
