import { constants, publicEncrypt, webcrypto } from 'node:crypto';
import { DecryptionRefused } from './authenticated-cipher.js';
import { verifyingKeyOf } from './signatures.js';

type OpenedKey = Awaited<ReturnType<typeof webcrypto.subtle.importKey>>;

const OAEP = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' } as const;
const HASH_BYTES = 32;

/** RFC 8017 §7.1.1. */
export function oaepBytesMax(modulusBits: number): number {
  return modulusBits / 8 - 2 * HASH_BYTES - 2;
}

/** RSAES-OAEP with SHA-256 for hash and mask, no label. The key is SubjectPublicKeyInfo in DER. */
export function encryptOaep(publicKey: Buffer, plaintext: Uint8Array): Buffer {
  return publicEncrypt({ key: verifyingKeyOf(publicKey), ...OAEP }, plaintext);
}

/** Hangs on the lent bytes, as in `signatures.ts`: whoever no longer gets those has no way to it either. */
const openedKeys = new WeakMap<Buffer, Promise<OpenedKey>>();

/**
 * The key is PKCS #8 in DER, lent for this synchronous call. What it gives opens in a thread, since RSA takes milliseconds, and
 * rejects with `DecryptionRefused` whatever is wrong with the ciphertext.
 */
export function oaepOpenerOf(privateKey: Buffer): (sealed: Buffer) => Promise<Buffer> {
  const opened = openedKeyOf(privateKey);
  return async (sealed) => {
    const key = await opened;
    try {
      return Buffer.from(await webcrypto.subtle.decrypt({ name: 'RSA-OAEP' }, key, sealed));
    } catch {
      throw new DecryptionRefused();
    }
  };
}

function openedKeyOf(privateKey: Buffer): Promise<OpenedKey> {
  const known = openedKeys.get(privateKey);
  if (known) return known;
  // The lent bytes are zeroed when their time is over, which may be before they are read.
  const copy = Buffer.from(privateKey);
  const key = webcrypto.subtle
    .importKey('pkcs8', copy, { name: 'RSA-OAEP', hash: 'SHA-256' }, false, ['decrypt'])
    .finally(() => copy.fill(0));
  openedKeys.set(privateKey, key);
  return key;
}
