import { isUtf8 } from 'node:buffer';
import type { Secret } from '../../kernel/secret.js';
import { templateError } from './errors.js';
import { holdsExpression, type Operands, type Pieces, parseText, renderPieces } from './expressions.js';

/** A pair as it came, or one whose value is rendered. */
type Pair = string | { readonly name: string; readonly pieces: Pieces };

export interface QueryTemplate {
  readonly pairs: readonly Pair[];
}

const PERCENT = 0x25;
const PLUS = 0x2b;

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** application/x-www-form-urlencoded decoding of bytes (WHATWG URL §5.1): a stray `%` stays as it is. */
export function decodeFormBytes(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    let byte = bytes[at]!;
    if (byte === PLUS) byte = 0x20;
    else if (byte === PERCENT) {
      const high = hexDigit(bytes[at + 1]);
      const low = high === -1 ? -1 : hexDigit(bytes[at + 2]);
      if (low !== -1) {
        byte = (high << 4) | low;
        at += 2;
      }
    }
    out[length] = byte;
    length += 1;
  }
  return out.subarray(0, length);
}

const HEX = '0123456789ABCDEF';
const UNRESERVED = /^[A-Za-z0-9\-._~]*$/;

/** RFC 3986 §2.1, all but the unreserved characters; a space is `%20`. */
function percentEncode(text: string): string {
  if (UNRESERVED.test(text)) return text;
  let out = '';
  for (const byte of Buffer.from(text)) {
    const char = String.fromCharCode(byte);
    out += byte < 0x80 && UNRESERVED.test(char) ? char : `%${HEX[byte >> 4]}${HEX[byte & 15]}`;
  }
  return out;
}

/** Braces arrive raw or as `%7B`, which header values usually carry. */
function mayHoldBraces(text: string): boolean {
  return text.includes('{{') || text.includes('%7B') || text.includes('%7b');
}

function parsePair(pair: string, operands: Operands): Pair {
  const equals = pair.indexOf('=');
  if (equals === -1 || !mayHoldBraces(pair)) return pair;
  // Node gives the request line as Latin-1, one character a byte.
  const decoded = decodeFormBytes(Buffer.from(pair.slice(equals + 1), 'latin1'));
  if (!isUtf8(decoded)) {
    if (holdsExpression(decoded.toString('latin1'))) throw templateError('A query value is not UTF-8');
    return pair;
  }
  const pieces = parseText(decoded.toString('utf8'), operands);
  return pieces === null ? pair : { name: pair.slice(0, equals), pieces };
}

/** `query` without its question mark. Null = forward it as it is. */
export function parseQuery(query: string, operands: Operands): QueryTemplate | null {
  if (!mayHoldBraces(query)) return null;
  const pairs = query.split('&').map((pair) => parsePair(pair, operands));
  return pairs.every((pair) => typeof pair === 'string') ? null : { pairs };
}

export function renderQuery(template: QueryTemplate, values: readonly Secret<string>[]): string {
  return template.pairs
    .map((pair) =>
      typeof pair === 'string' ? pair : `${pair.name}=${percentEncode(renderPieces(pair.pieces, values))}`,
    )
    .join('&');
}
