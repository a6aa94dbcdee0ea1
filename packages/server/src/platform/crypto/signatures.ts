import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type KeyObject,
  type SignKeyObjectInput,
  sign,
  verify,
} from 'node:crypto';
import { assert } from '../../kernel/assert.js';
import type { Promisable } from '../../kernel/promisable.js';
import { equalInConstantTime } from './hashing.js';

export const SIGNATURE_HASHES = ['sha256', 'sha384', 'sha512'] as const;
export type SignatureHash = (typeof SIGNATURE_HASHES)[number];

export const RSA_PADDINGS = ['pss', 'pkcs1v15'] as const;
export type RsaPadding = (typeof RSA_PADDINGS)[number];

/** What is done with a key; its size follows from the key. */
export type SignatureScheme =
  | { readonly family: 'hmac'; readonly hash: SignatureHash }
  | { readonly family: 'rsa'; readonly hash: SignatureHash; readonly padding: RsaPadding }
  | { readonly family: 'ecdsa'; readonly hash: SignatureHash; readonly scalarBytes: 32 | 48 }
  | { readonly family: 'ed25519' };

/** Of an ECDSA signature: a DER sequence (RFC 3279 §2.2.3), or r and s side by side (RFC 7518 §3.4). */
export type EcdsaForm = 'der' | 'ieee-p1363';

const ED25519_SIGNATURE_BYTES = 64;

/**
 * The library's form of a lent key, made once while the key is open: reading PKCS #8 takes longer than most signatures.
 * It hangs on the very bytes, so whoever no longer gets those lent has no way to it either.
 */
const opened = new WeakMap<Buffer, KeyObject>();

/** `key` is raw bytes for HMAC, PKCS #8 in DER else, as the keyring lends it. */
export function signingKeyOf(family: SignatureScheme['family'], key: Buffer): KeyObject {
  const known = opened.get(key);
  if (known) return known;
  const made =
    family === 'hmac' ? createSecretKey(key) : createPrivateKey({ key, format: 'der', type: 'pkcs8' });
  opened.set(key, made);
  return made;
}

/** Of SubjectPublicKeyInfo in DER, kept in the same way. */
export function verifyingKeyOf(spki: Buffer): KeyObject {
  const known = opened.get(spki);
  if (known) return known;
  const made = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  opened.set(spki, made);
  return made;
}

/** At once, but for RSA, which takes milliseconds: that is done in a thread. */
export function signMessage(
  key: KeyObject,
  scheme: SignatureScheme,
  message: Uint8Array,
  form: EcdsaForm = 'der',
): Promisable<Buffer> {
  switch (scheme.family) {
    case 'hmac':
      return createHmac(scheme.hash, key).update(message).digest();
    case 'rsa':
      return signInThread(scheme.hash, message, { key, ...rsaOptions(scheme.padding) });
    case 'ecdsa':
      return sign(scheme.hash, message, { key, dsaEncoding: form });
    case 'ed25519':
      return sign(null, message, key);
  }
}

/**
 * False whatever is wrong with the signature. A DER signature has one spelling, and r and s are from 1 to n - 1 (the
 * library sees to both); an RSA signature is as long as its modulus; the salt of PSS is as long as the hash.
 */
export function isGoodSignature(
  key: KeyObject,
  scheme: SignatureScheme,
  message: Uint8Array,
  signature: Uint8Array,
  form: EcdsaForm = 'der',
): boolean {
  switch (scheme.family) {
    case 'hmac':
      return equalInConstantTime(createHmac(scheme.hash, key).update(message).digest(), signature);
    case 'rsa':
      return (
        signature.length === modulusBytesOf(key) &&
        verify(scheme.hash, message, { key, ...rsaOptions(scheme.padding) }, signature)
      );
    case 'ecdsa':
      return (
        isEcdsaLength(signature.length, scheme.scalarBytes, form) &&
        verify(scheme.hash, message, { key, dsaEncoding: form }, signature)
      );
    case 'ed25519':
      return signature.length === ED25519_SIGNATURE_BYTES && verify(null, message, key, signature);
  }
}

function rsaOptions(padding: RsaPadding) {
  return padding === 'pkcs1v15'
    ? { padding: constants.RSA_PKCS1_PADDING }
    : { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
}

function modulusBytesOf(key: KeyObject): number {
  const bits = key.asymmetricKeyDetails?.modulusLength;
  assert(bits !== undefined, 'an RSA key has a modulus');
  return bits / 8;
}

/** Of DER: two integers with a leading zero each, their heads and that of the sequence; none of P-384 needs a long length. */
function isEcdsaLength(length: number, scalarBytes: number, form: EcdsaForm): boolean {
  if (form === 'ieee-p1363') return length === 2 * scalarBytes;
  return length > 0 && length <= 2 * (scalarBytes + 3) + 2;
}

function signInThread(hash: SignatureHash, message: Uint8Array, key: SignKeyObjectInput): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign(hash, message, key, (error, signature) => (error ? reject(error) : resolve(signature)));
  });
}
