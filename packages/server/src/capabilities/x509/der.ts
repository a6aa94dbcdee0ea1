import { assert } from '../../kernel/assert.js';
import { wholeSeconds } from '../../kernel/clock.js';

const SEQUENCE = 0x30;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const INTEGER = 0x02;
const LENGTH_BYTES_MAX = 4;
/** RFC 5280 §4.1.2.5: the last year of which UTCTime is written. */
const UTC_TIME_YEAR_MAX = 2049;

/** One element: tag, length, content (X.690 §8.1). */
export function element(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const length = contents.reduce((sum, content) => sum + content.length, 0);
  return Buffer.concat([head(tag, length), ...contents]);
}

export function sequence(...contents: readonly Uint8Array[]): Buffer {
  return element(SEQUENCE, ...contents);
}

/** Of a number that is not negative, as its bytes without a sign. */
export function integer(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const shortest = first < 0 ? Buffer.alloc(1) : bytes.subarray(first);
  const sign = shortest[0]! >= 0x80 ? Buffer.alloc(1) : Buffer.alloc(0);
  return element(INTEGER, sign, shortest);
}

export function integerOf(value: number): Buffer {
  assert(Number.isSafeInteger(value) && value >= 0, 'a DER integer out of range');
  const hex = value.toString(16);
  return integer(Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex'));
}

/** For the encoder, which would write fractions of a second where a time is a GeneralizedTime. */
export function dateOf(epochMs: number): Date {
  return new Date(wholeSeconds(epochMs));
}

/** `Time` of RFC 5280: UTCTime through 2049, GeneralizedTime after; without fractions of a second. */
export function time(epochMs: number): Buffer {
  const digits = new Date(epochMs).toISOString().slice(0, 19).replace(/[-T:]/g, '');
  return Number(digits.slice(0, 4)) <= UTC_TIME_YEAR_MAX
    ? element(UTC_TIME, Buffer.from(`${digits.slice(2)}Z`))
    : element(GENERALIZED_TIME, Buffer.from(`${digits}Z`));
}

/** Whether the bytes are one element with a definite length, and nothing after it. */
export function isWholeElement(der: Buffer): boolean {
  const first = der[1];
  if (der[0] !== SEQUENCE || first === undefined) return false;
  if (first < 0x80) return der.length === 2 + first;
  const count = first - 0x80;
  if (count < 1 || count > LENGTH_BYTES_MAX || der.length < 2 + count) return false;
  return der.length === 2 + count + der.readUIntBE(2, count);
}

function head(tag: number, length: number): Buffer {
  if (length < 0x80) return Buffer.from([tag, length]);
  const bytes: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 0x100)) bytes.unshift(left % 0x100);
  return Buffer.from([tag, 0x80 | bytes.length, ...bytes]);
}
