import { isUtf8 } from 'node:buffer';
import type { Secret } from '../../kernel/secret.js';
import { templateError } from './errors.js';
import { holdsExpression, type Operands, type Pieces, parseText, renderPieces } from './expressions.js';

/** A value that holds an expression, with its place in the text. */
interface RenderedValue {
  readonly start: number;
  readonly end: number;
  readonly pieces: Pieces;
}

/** Pairs of a query or a form body; all but the rendered values go on as they came. */
export interface PairsTemplate {
  readonly text: string;
  readonly values: readonly RenderedValue[];
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
function decodeFormBytes(bytes: Buffer): Buffer {
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

/** `text` is one character a byte, as Node gives the request line. Null = rendering would leave the value as it is. */
function parseValue(text: string, part: 'query' | 'form', operands: Operands): Pieces | null {
  const decoded = decodeFormBytes(Buffer.from(text, 'latin1'));
  if (isUtf8(decoded)) return parseText(decoded.toString('utf8'), operands);
  if (holdsExpression(decoded.toString('latin1'), operands.dialect))
    throw templateError(`A ${part} value is not UTF-8`);
  return null;
}

/** `text` is a query without its question mark, or a form body. Null = forward it as it is. */
export function parsePairs(text: string, part: 'query' | 'form', operands: Operands): PairsTemplate | null {
  if (!mayHoldBraces(text)) return null;
  const values: RenderedValue[] = [];
  for (let from = 0, end = 0; end < text.length; from = end + 1) {
    const and = text.indexOf('&', from);
    end = and === -1 ? text.length : and;
    const pair = text.slice(from, end);
    const equals = pair.indexOf('=');
    if (equals === -1 || !mayHoldBraces(pair)) continue;
    const pieces = parseValue(pair.slice(equals + 1), part, operands);
    if (pieces !== null) values.push({ start: from + equals + 1, end, pieces });
  }
  return values.length === 0 ? null : { text, values };
}

export function renderPairs(template: PairsTemplate, values: readonly Secret<string>[]): string {
  let out = '';
  let from = 0;
  for (const { start, end, pieces } of template.values) {
    out += template.text.slice(from, start) + percentEncode(renderPieces(pieces, values));
    from = end;
  }
  return out + template.text.slice(from);
}
