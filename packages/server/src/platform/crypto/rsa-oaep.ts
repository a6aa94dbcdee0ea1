import { constants, createPrivateKey, createPublicKey, privateDecrypt, publicEncrypt } from 'node:crypto';
import { DecryptionRefused } from './authenticated-cipher.js';

const OAEP = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' } as const;
const HASH_BYTES = 32;

/** RFC 8017 §7.1.1. */
export function oaepBytesMax(modulusBits: number): number {
  return modulusBits / 8 - 2 * HASH_BYTES - 2;
}

/** RSAES-OAEP with SHA-256 for hash and mask, no label. The key is SubjectPublicKeyInfo in DER. */
export function encryptOaep(publicKey: Buffer, plaintext: Uint8Array): Buffer {
  const key = createPublicKey({ key: publicKey, format: 'der', type: 'spki' });
  return publicEncrypt({ key, ...OAEP }, plaintext);
}

/** The key is PKCS #8 in DER. Throws `DecryptionRefused` whatever is wrong with the ciphertext. */
export function decryptOaep(privateKey: Buffer, sealed: Buffer): Buffer {
  const key = createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' });
  try {
    return privateDecrypt({ key, ...OAEP }, sealed);
  } catch {
    throw new DecryptionRefused();
  }
}
