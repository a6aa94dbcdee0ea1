import { isUtf8 } from 'node:buffer';
import type { Find } from './rule.js';

/**
 * Bodies are handled as text with one character a byte ("byte text"): what no rule touches keeps its exact bytes,
 * valid or not, and no cut can split a character. Everything that the scanners look for is ASCII.
 */
export function toByteText(bytes: Buffer): string {
  return bytes.toString('latin1');
}

export function fromByteText(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

export type TextEncoding = 'utf-8' | 'single-byte';

/** Characters as byte text. What a single-byte set may not have becomes `*`. */
export function encodeText(text: string, encoding: TextEncoding): string {
  if (encoding === 'utf-8') return toByteText(Buffer.from(text, 'utf8'));
  return text.replace(/[^\x20-\x7e]/gu, '*');
}

/** Each character as the encoding writes it; one that is above its 256 as UTF-8, so that none reads as another. */
export function bytesOf(text: string, encoding: TextEncoding): Buffer {
  if (encoding === 'utf-8') return Buffer.from(text, 'utf8');
  return Buffer.concat(
    Array.from(text.match(/[\0-\xff]+|[^\0-\xff]+/gu) ?? [], (run) =>
      Buffer.from(run, run.charCodeAt(0) <= 0xff ? 'latin1' : 'utf8'),
    ),
  );
}

export function decodeText(byteText: string, encoding: TextEncoding): string {
  return encoding === 'utf-8' ? fromByteText(byteText).toString('utf8') : byteText;
}

/** The inside of a JSON string in ASCII, right in every encoding. */
export function jsonEscape(text: string): string {
  return JSON.stringify(text)
    .slice(1, -1)
    .replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Byte text as a regex sees it; itself where bytes and characters are the same, or are no characters. */
export function charactersOf(byteText: string, encoding: TextEncoding): string {
  if (encoding === 'single-byte' || !/[\x80-\xff]/.test(byteText)) return byteText;
  const bytes = fromByteText(byteText);
  return isUtf8(bytes) ? bytes.toString('utf8') : byteText;
}

/** Finds among the characters of a byte text, by their bytes. */
export function findsInBytes(finds: readonly Find[], characters: string, byteText: string): readonly Find[] {
  if (characters.length === byteText.length) return finds;
  let [at, bytes] = [0, 0];
  const places = new Map<number, number>();
  for (const place of finds.flatMap(({ start, end }) => [start, end]).sort((a, b) => a - b)) {
    bytes += Buffer.byteLength(characters.slice(at, place));
    at = place;
    places.set(place, bytes);
  }
  return finds.map((find) => ({ ...find, start: places.get(find.start)!, end: places.get(find.end)! }));
}
