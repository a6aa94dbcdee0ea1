import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { assert } from '../../kernel/assert.js';

/** What stands before the 65 bytes of a P-256 point in SPKI (RFC 5480 §2). */
const P256_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');
const POINT_BYTES = 65;

/** SubjectPublicKeyInfo in DER of an uncompressed point of P-256. */
export function spkiOfPoint(point: Buffer): Buffer {
  assert(point.length === POINT_BYTES, 'an uncompressed point');
  return Buffer.concat([P256_PREFIX, point]);
}

/** The point out of what `spkiOfPoint` has made. */
export function pointOfSpki(spki: Buffer): Buffer {
  assert(spki.length === P256_PREFIX.length + POINT_BYTES, 'the key of a point');
  return spki.subarray(P256_PREFIX.length);
}

export function publicPemOf(spki: Buffer): string {
  return keyOf(spki).export({ format: 'pem', type: 'spki' }) as string;
}

/** The members of RFC 7518 §6 alone. */
export function publicJwkOf(spki: Buffer): JsonWebKey {
  return keyOf(spki).export({ format: 'jwk' });
}

function keyOf(spki: Buffer): KeyObject {
  return createPublicKey({ key: spki, format: 'der', type: 'spki' });
}
