import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';

const generate = promisify(generateKeyPair);
const RSA_EXPONENT = 0x10001;

export const KEY_PAIR_KINDS = [
  'ecdsa-p256',
  'ecdsa-p384',
  'ed25519',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
] as const;
export type KeyPairKind = (typeof KEY_PAIR_KINDS)[number];

export interface KeyPair {
  /** PKCS #8 in DER; whoever asked for it zeroes it. */
  readonly privateKey: Buffer;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Buffer;
}

/** Made in a thread: RSA with 4096 bits takes a second and more. */
export async function newKeyPair(kind: KeyPairKind): Promise<KeyPair> {
  const { privateKey, publicKey } = await generatorOf(kind);
  return {
    privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }),
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
  };
}

function generatorOf(kind: KeyPairKind) {
  switch (kind) {
    case 'ecdsa-p256':
      return generate('ec', { namedCurve: 'prime256v1' });
    case 'ecdsa-p384':
      return generate('ec', { namedCurve: 'secp384r1' });
    case 'ed25519':
      return generate('ed25519');
    default:
      return generate('rsa', {
        modulusLength: Number(kind.slice('rsa-'.length)),
        publicExponent: RSA_EXPONENT,
      });
  }
}
