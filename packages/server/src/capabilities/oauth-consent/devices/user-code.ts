import { sha256 } from '../../../platform/crypto/hashing.js';
import type { Random } from '../../../platform/crypto/random.js';

/** No vowels, so that no word comes out, and none that looks like another (RFC 8628 §6.1). */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ';
const LENGTH = 8;
/** The largest multiple of the letters' number in a byte: what is above it would favour the first letters. */
const FAIR_BYTES = Math.floor(256 / LETTERS.length) * LETTERS.length;

/** `ABCD-EFGH`. */
export function newUserCode(random: Random): string {
  let text = '';
  while (text.length < LENGTH) {
    for (const byte of random.bytes(LENGTH)) {
      if (byte < FAIR_BYTES && text.length < LENGTH) text += LETTERS[byte % LETTERS.length];
    }
  }
  return `${text.slice(0, 4)}-${text.slice(4)}`;
}

/** As somebody typed it: case, dash and spaces do not count. Null where it can be no code at all. */
export function readUserCode(typed: string): string | null {
  const letters = typed.replace(/[\s-]/g, '').toUpperCase();
  if (letters.length !== LENGTH || [...letters].some((letter) => !LETTERS.includes(letter))) return null;
  return `${letters.slice(0, 4)}-${letters.slice(4)}`;
}

export function hashUserCode(code: string): Buffer {
  return sha256(`knox.user_code\0${code}`);
}
