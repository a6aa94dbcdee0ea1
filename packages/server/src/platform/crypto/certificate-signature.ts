import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import type { Promisable } from '../../kernel/promisable.js';
import { type SignatureScheme, signingKeyOf, signMessage } from './signatures.js';

type AuthorityScheme = Extract<SignatureScheme, { readonly family: 'rsa' | 'ecdsa' }>;

/**
 * What an authority signs with: ECDSA with the hash of its curve, the signature as a DER sequence of r and s (RFC 3279 §2.2.3), or RSA
 * with PKCS #1 v1.5 and SHA-256. The key is PKCS #8 in DER.
 */
export function signAsAuthority(privateKey: Buffer, message: Buffer): Buffer {
  const key = createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' });
  return sign(schemeOf(key).hash, message, key);
}

/** The same, as often as anybody asks: the key is read once while it is open, and RSA signs in a thread. */
export function authoritySigner(privateKey: Buffer): (message: Buffer) => Promisable<Buffer> {
  const key = signingKeyOf('rsa', privateKey);
  const scheme = schemeOf(key);
  return (message) => signMessage(key, scheme, message);
}

function schemeOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): AuthorityScheme {
  if (asymmetricKeyType === 'rsa') return { family: 'rsa', hash: 'sha256', padding: 'pkcs1v15' };
  return asymmetricKeyDetails?.namedCurve === 'secp384r1'
    ? { family: 'ecdsa', hash: 'sha384', scalarBytes: 48 }
    : { family: 'ecdsa', hash: 'sha256', scalarBytes: 32 };
}

export type CertifiableKind = 'rsa' | 'p256' | 'p384' | 'ed25519';

/** A public key that a certificate may be asked for. */
export interface CertifiableKey {
  readonly kind: CertifiableKind;
  /** SubjectPublicKeyInfo in DER, as it is written here. */
  readonly publicKey: Buffer;
  /** `null`: Ed25519, which hashes itself. */
  isSignerOf(hash: 'sha256' | 'sha384' | 'sha512' | null, message: Buffer, signature: Buffer): boolean;
}

const RSA_BITS_MIN = 2_048;
const RSA_BITS_MAX = 4_096;
const RSA_EXPONENT = 0x10001n;
/** With the bytes of a key whose curve is named and whose point is whole: no other is read by all (RFC 5480 §2.1.1, §2.2). */
const CURVES: Readonly<Record<string, { readonly kind: CertifiableKind; readonly bytes: number }>> = {
  prime256v1: { kind: 'p256', bytes: 91 },
  secp384r1: { kind: 'p384', bytes: 120 },
};

/** Why it is none, where it is none. */
export function certifiableKey(publicKey: Buffer): CertifiableKey | string {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: publicKey, format: 'der', type: 'spki' });
  } catch {
    return 'its public key cannot be read';
  }
  const written = key.export({ format: 'der', type: 'spki' });
  const kind = kindOf(key, written);
  if (typeof kind === 'object') return kind.fault;
  return {
    kind,
    publicKey: written,
    isSignerOf(hash, message, signature) {
      try {
        return verify(hash, message, key, signature);
      } catch {
        return false;
      }
    },
  };
}

function kindOf(key: KeyObject, written: Buffer): CertifiableKind | { readonly fault: string } {
  const { asymmetricKeyType: type, asymmetricKeyDetails } = key;
  const { modulusLength = 0, publicExponent, namedCurve = '' } = asymmetricKeyDetails ?? {};
  if (type === 'ed25519') return type;
  if (type === 'ec') {
    const curve = CURVES[namedCurve];
    if (!curve) return { fault: 'its curve is neither P-256 nor P-384' };
    return curve.bytes === written.length
      ? curve.kind
      : { fault: 'its curve is not named, or its point is compressed' };
  }
  if (type !== 'rsa') return { fault: 'its key is neither RSA, ECDSA nor Ed25519' };
  if (modulusLength < RSA_BITS_MIN || modulusLength > RSA_BITS_MAX)
    return { fault: `its RSA key has ${modulusLength} bits: ${RSA_BITS_MIN} to ${RSA_BITS_MAX} are taken` };
  return publicExponent === RSA_EXPONENT ? type : { fault: 'the exponent of its RSA key is not 65537' };
}
