import { isUtf8 } from 'node:buffer';
import { notUtf8Text } from './errors.js';
import { type Operands, type Pieces, parseText } from './expressions.js';

const CHARSET = /;\s*charset\s*=\s*"?([^\s";]+)/i;
const UTF8_COMPATIBLE = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii']);

/**
 * Plain substitution without any escaping (dataplane §2.1). Bytes that are not UTF-8 are no text and go on as they are;
 * a value cannot be written into a body that says it is in another charset.
 */
export function parseTextBody(bytes: Buffer, contentType: string, operands: Operands): Pieces | null {
  if (bytes.indexOf('{{') === -1 || !isUtf8(bytes)) return null;
  const pieces = parseText(bytes.toString('utf8'), operands);
  if (pieces === null) return null;
  const charset = CHARSET.exec(contentType)?.[1]?.toLowerCase();
  if (charset !== undefined && !UTF8_COMPATIBLE.has(charset)) throw notUtf8Text();
  return pieces;
}
