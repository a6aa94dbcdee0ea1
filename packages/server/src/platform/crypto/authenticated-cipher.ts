import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { assert } from '../../kernel/assert.js';
import type { Random } from './random.js';

export const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const FIRST_BLOCK = Buffer.of(1);

/** Says that bytes do not open, and never why: a cause would tell an attacker which guess was nearer. */
export class DecryptionRefused extends Error {
  override readonly name = 'DecryptionRefused';
  constructor() {
    super('decryption refused');
  }
}

/** AES-256-GCM as `iv[12] ‖ tag[16] ‖ ciphertext`, the order of transit ciphertexts too (clients-pki.md §4.3). */
export function encrypt(random: Random, key: Buffer, aad: Buffer, plaintext: Uint8Array): Buffer {
  assert(key.length === KEY_BYTES, 'key length');
  const iv = random.bytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad);
  const body = cipher.update(plaintext);
  cipher.final();
  return Buffer.concat([iv, cipher.getAuthTag(), body]);
}

export function decrypt(key: Buffer, aad: Buffer, sealed: Buffer): Buffer {
  assert(key.length === KEY_BYTES, 'key length');
  if (sealed.length < IV_BYTES + TAG_BYTES) throw new DecryptionRefused();
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
  const plaintext = decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES));
  try {
    decipher.final();
  } catch {
    plaintext.fill(0);
    throw new DecryptionRefused();
  }
  return plaintext;
}

/** HKDF-SHA256 (RFC 5869 §2.2, §2.3) to one block. Written out: `hkdfSync` takes three times as long. */
export function deriveKey(secret: Buffer, salt: Uint8Array, info: string): Buffer {
  const pseudorandomKey = createHmac('sha256', salt).update(secret).digest();
  return createHmac('sha256', pseudorandomKey).update(info).update(FIRST_BLOCK).digest();
}

/** Each part as u32be length ‖ UTF-8 bytes, so that no two lists of parts give the same bytes (kms-admin.md §3.2). */
export function lengthPrefixed(parts: readonly string[]): Buffer {
  let size = 0;
  for (const part of parts) size += 4 + Buffer.byteLength(part, 'utf8');
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const part of parts) {
    const length = bytes.write(part, at + 4, 'utf8');
    at = bytes.writeUInt32BE(length, at) + length;
  }
  return bytes;
}
