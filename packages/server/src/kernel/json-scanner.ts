import { LIMITS } from './limits.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

type Expect = 'value' | 'value or ]' | 'key' | 'key or }' | 'after value';

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isHex(byte: number | undefined): boolean {
  return isDigit(byte) || (byte !== undefined && (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const byte = bytes[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at += 1;
  }
}

/** Just behind the closing quote, or -1. */
function stringEnd(bytes: Buffer, from: number): number {
  let at = from + 1;
  for (;;) {
    const byte = bytes[at];
    if (byte === undefined || byte < 0x20) return -1;
    if (byte === QUOTE) return at + 1;
    if (byte === BACKSLASH) {
      const escaped = bytes[at + 1];
      if (escaped === 0x75) {
        for (let digit = 2; digit < 6; digit += 1) if (!isHex(bytes[at + digit])) return -1;
        at += 6;
        continue;
      }
      if (escaped === undefined || !'"\\/bfnrt'.includes(String.fromCharCode(escaped))) return -1;
      at += 2;
      continue;
    }
    at += 1;
  }
}

function digitsEnd(bytes: Buffer, from: number): number {
  let at = from;
  while (isDigit(bytes[at])) at += 1;
  return at === from ? -1 : at;
}

function numberEnd(bytes: Buffer, from: number): number {
  let at = bytes[from] === 0x2d ? from + 1 : from;
  at = bytes[at] === 0x30 ? at + 1 : digitsEnd(bytes, at);
  if (at !== -1 && bytes[at] === 0x2e) at = digitsEnd(bytes, at + 1);
  if (at !== -1 && ((bytes[at] ?? 0) | 0x20) === 0x65) {
    const sign = bytes[at + 1];
    at = digitsEnd(bytes, sign === 0x2b || sign === 0x2d ? at + 2 : at + 1);
  }
  return at;
}

function wordEnd(bytes: Buffer, from: number, word: string): number {
  for (let i = 0; i < word.length; i += 1) if (bytes[from + i] !== word.charCodeAt(i)) return -1;
  return from + word.length;
}

function scalarEnd(bytes: Buffer, from: number): number {
  switch (bytes[from]) {
    case 0x74:
      return wordEnd(bytes, from, 'true');
    case 0x66:
      return wordEnd(bytes, from, 'false');
    case 0x6e:
      return wordEnd(bytes, from, 'null');
    default:
      return numberEnd(bytes, from);
  }
}

function startOf(bytes: Buffer): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}

/** What a scan comes across, by its place: `bytes.subarray(start, end)`. */
export interface JsonEvents {
  /** A text with its quotes, a number, `true`, `false` or `null` that is a value, not a key. */
  scalar?(start: number, end: number): void;
  /** With its quotes; the value follows. */
  key?(start: number, end: number): void;
  open?(start: number): void;
  close?(end: number): void;
}

/**
 * Checks one JSON text (RFC 8259) and reports what is in it. Numbers, key order, duplicate keys and spacing are never
 * touched, since nothing is parsed into values. Returns what is wrong, or null.
 */
export function scanJson(bytes: Buffer, on: JsonEvents): string | null {
  /** Of each level that is open. */
  const isObject: boolean[] = [];
  let depth = 0;
  let expect: Expect = 'value';
  let at = skipSpace(bytes, startOf(bytes));
  while (at < bytes.length) {
    const byte = bytes[at]!;
    if (expect === 'after value') {
      if (depth === 0) return 'text after its end';
      const inObject = isObject[depth - 1]!;
      if (byte === COMMA) expect = inObject ? 'key' : 'value';
      else if (byte === (inObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
        depth -= 1;
        on.close?.(at + 1);
      } else return 'a comma or a closing bracket is missing';
      at += 1;
    } else if (expect === 'key' || expect === 'key or }') {
      if (byte === CLOSE_OBJECT && expect === 'key or }') {
        depth -= 1;
        expect = 'after value';
        at += 1;
        on.close?.(at);
      } else {
        const end: number = byte === QUOTE ? stringEnd(bytes, at) : -1;
        if (end === -1) return 'a malformed key';
        on.key?.(at, end);
        at = skipSpace(bytes, end);
        if (bytes[at] !== COLON) return 'a colon is missing';
        at += 1;
        expect = 'value';
      }
    } else if (byte === CLOSE_ARRAY && expect === 'value or ]') {
      depth -= 1;
      expect = 'after value';
      at += 1;
      on.close?.(at);
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (depth === LIMITS.jsonDepthMax) return `nested deeper than ${LIMITS.jsonDepthMax} levels`;
      isObject[depth] = byte === OPEN_OBJECT;
      depth += 1;
      expect = byte === OPEN_OBJECT ? 'key or }' : 'value or ]';
      on.open?.(at);
      at += 1;
    } else {
      const end: number = byte === QUOTE ? stringEnd(bytes, at) : scalarEnd(bytes, at);
      if (end === -1) return 'a malformed value';
      on.scalar?.(at, end);
      at = end;
      expect = 'after value';
    }
    at = skipSpace(bytes, at);
  }
  return depth === 0 && expect === 'after value' ? null : 'it ends early';
}
