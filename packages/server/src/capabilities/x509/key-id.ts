import { AsnConvert } from '@peculiar/asn1-schema';
import { SubjectPublicKeyInfo } from '@peculiar/asn1-x509';
import { sha256 } from '../../platform/crypto/hashing.js';

const KEY_ID_BYTES = 20;

/** What stands in the subject key identifier: the first 160 bits of the SHA-256 of the key (RFC 7093 §2, method 1). */
export function keyIdOf(publicKey: Buffer): Buffer {
  return sha256(keyBitsOf(publicKey)).subarray(0, KEY_ID_BYTES);
}

/** Content of the bit string of a SubjectPublicKeyInfo: what hashes of a key are made of. */
export function keyBitsOf(publicKey: Buffer): Buffer {
  return Buffer.from(AsnConvert.parse(publicKey, SubjectPublicKeyInfo).subjectPublicKey);
}
