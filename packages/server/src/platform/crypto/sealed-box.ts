import { createCipheriv, createDecipheriv, createECDH, hkdfSync } from 'node:crypto';
import { DecryptionRefused, KEY_BYTES } from './authenticated-cipher.js';
import type { Random } from './random.js';

const CURVE = 'prime256v1';
const POINT_BYTES = 65;
const IV_BYTES = 12;
const TAG_BYTES = 16;

export interface SealedBox {
  /** Authenticated beside the plaintext. */
  readonly header: string;
  /** The sender's uncompressed point. */
  readonly ephemeral: Buffer;
  readonly iv: Buffer;
  /** `ciphertext ‖ tag[16]`. */
  readonly sealed: Buffer;
}

/** Of P-256, 32 bytes: the library leaves leading zeros out. */
export function newPrivateKey(): Buffer {
  const pair = createECDH(CURVE);
  pair.generateKeys();
  const short = pair.getPrivateKey();
  const key = Buffer.alloc(KEY_BYTES);
  short.copy(key, KEY_BYTES - short.length);
  short.fill(0);
  return key;
}

/** Its public half, uncompressed: 65 bytes. */
export function publicPointOf(privateKey: Buffer): Buffer {
  const pair = createECDH(CURVE);
  pair.setPrivateKey(privateKey);
  return pair.getPublicKey();
}

/**
 * AES-256-GCM under a key of its own, agreed on with `recipient`, an uncompressed point (construction v1 of clients-pki.md §5).
 * The header is made from what the box draws; `role` is bound through the key.
 */
export function sealBox(
  random: Random,
  recipient: Buffer,
  headerOf: (ephemeral: Buffer, iv: Buffer) => string,
  role: string,
  plaintext: Uint8Array,
): SealedBox {
  const sender = createECDH(CURVE);
  const ephemeral = sender.generateKeys();
  const iv = random.bytes(IV_BYTES);
  const header = headerOf(ephemeral, iv);
  const key = contentKey(sender.computeSecret(recipient), ephemeral, header, role);
  try {
    const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(header));
    const body = [cipher.update(plaintext), cipher.final()];
    return { header, ephemeral, iv, sealed: Buffer.concat([...body, cipher.getAuthTag()]) };
  } finally {
    key.fill(0);
  }
}

/** Throws `DecryptionRefused` whatever is wrong with it. */
export function openBox(privateKey: Buffer, box: SealedBox, role: string): Buffer {
  const { header, ephemeral, iv, sealed } = box;
  if (ephemeral.length !== POINT_BYTES || iv.length !== IV_BYTES || sealed.length < TAG_BYTES) {
    throw new DecryptionRefused();
  }
  const recipient = createECDH(CURVE);
  recipient.setPrivateKey(privateKey);
  let shared: Buffer;
  try {
    shared = recipient.computeSecret(ephemeral);
  } catch {
    // A point that is not on the curve.
    throw new DecryptionRefused();
  }
  const key = contentKey(shared, ephemeral, header, role);
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(header));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const plaintext = decipher.update(sealed.subarray(0, -TAG_BYTES));
  try {
    decipher.final();
  } catch {
    plaintext.fill(0);
    throw new DecryptionRefused();
  } finally {
    key.fill(0);
  }
  return plaintext;
}

/** HKDF-SHA256(Z, salt = ephemeral point, info = header ‖ 0x00 ‖ "role=" ‖ role). */
function contentKey(shared: Buffer, ephemeral: Buffer, header: string, role: string): Buffer {
  try {
    return Buffer.from(hkdfSync('sha256', shared, ephemeral, `${header}\0role=${role}`, KEY_BYTES));
  } finally {
    shared.fill(0);
  }
}
