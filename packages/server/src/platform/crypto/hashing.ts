import { createHmac, hash, timingSafeEqual } from 'node:crypto';

export function sha256(data: string | Uint8Array): Buffer {
  return hash('sha256', data, 'buffer');
}

/** The hash with a character a byte, of text as UTF-8: for hashes by the million, since a Buffer costs more than hashing something short. */
export function sha256Latin1(data: string | Uint8Array): string {
  return hash('sha256', data, 'binary');
}

export function sha256Base64(data: string | Uint8Array): string {
  return hash('sha256', data, 'base64');
}

export function sha256Hex(data: string | Uint8Array): string {
  return hash('sha256', data, 'hex');
}

/** For formats in which whoever asks names the algorithm. SHA-1 is no proof of anything. */
export function hashBy(algorithm: 'sha1' | 'sha256' | 'sha384' | 'sha512', data: Uint8Array): Buffer {
  return hash(algorithm, data, 'buffer');
}

export function hmacSha256(key: Buffer, ...parts: readonly Uint8Array[]): Buffer {
  const hmac = createHmac('sha256', key);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

/** Takes as long for the first differing byte as for the last; a differing length is not a secret. */
export function equalInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
