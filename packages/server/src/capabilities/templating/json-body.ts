import { isUtf8 } from 'node:buffer';
import { scanJson } from '../../kernel/json-scanner.js';
import type { Secret } from '../../kernel/secret.js';
import { PORTABLE_PREFIX, parsePortable } from '../crypto-keys/index.js';
import { malformedJson } from './errors.js';
import { holdsExpression, type Operands, type Pieces, parseText, renderPieces } from './expressions.js';

/** A string literal of the body that holds an expression, with the place of its quotes. */
interface Splice {
  readonly start: number;
  readonly end: number;
  readonly pieces: Pieces;
}

/** A string literal that is a ciphertext and nothing else: what it holds takes its place as JSON. */
interface Opening {
  readonly start: number;
  readonly end: number;
  readonly slot: number;
}

export interface JsonTemplate {
  readonly bytes: Buffer;
  readonly splices: readonly (Splice | Opening)[];
}

const QUOTE = 0x22;
const K = PORTABLE_PREFIX.charCodeAt(0);
const ESCAPED_BRACE = '\\u007';
const BRACES_UTF16 = Buffer.from('{{', 'utf16le').subarray(0, 3);

/** `{{` itself, or a `{` written as an escape, which a JSON reader sees as the same character. */
function mayHoldBraces(bytes: Buffer): boolean {
  return bytes.indexOf('{{') !== -1 || bytes.indexOf(ESCAPED_BRACE) !== -1;
}

/** Remembers where the text is found next, so that asking about ever later ranges reads the body once in all. */
function finder(bytes: Buffer, text: string): (start: number, end: number) => boolean {
  let next = bytes.indexOf(text);
  return (start, end) => {
    if (next !== -1 && next < start) next = bytes.indexOf(text, start);
    return next !== -1 && next < end;
  };
}

/**
 * Finds the expressions of a JSON body. Only the literals that hold one are replaced later; every other byte, numbers
 * above all, goes on as it came. Null = forward the body as it is. A malformed body is refused only where a caller
 * could rely on rendering; else it is the upstream's matter.
 */
export function parseJsonBody(bytes: Buffer, operands: Operands): JsonTemplate | null {
  const mayOpen = operands.dialect === 'ephemeral';
  if (!mayHoldBraces(bytes) && !(mayOpen && bytes.indexOf(PORTABLE_PREFIX) !== -1)) {
    if (bytes.indexOf(BRACES_UTF16) !== -1) throw malformedJson('not UTF-8');
    return null;
  }
  const holdsBraces = finder(bytes, '{{');
  const holdsEscape = finder(bytes, ESCAPED_BRACE);
  const splices: (Splice | Opening)[] = [];
  const collect = (start: number, end: number): void => {
    if (bytes[start] !== QUOTE) return;
    const portable =
      mayOpen && bytes[start + 1] === K ? parsePortable(bytes.toString('latin1', start + 1, end - 1)) : null;
    if (portable !== null) splices.push({ start, end, slot: operands.open(portable) });
    if (!holdsBraces(start, end) && !holdsEscape(start, end)) return;
    const pieces = parseText(JSON.parse(bytes.toString('utf8', start, end)) as string, operands);
    if (pieces !== null) splices.push({ start, end, pieces });
  };
  const problem = isUtf8(bytes) ? scanJson(bytes, { scalar: collect }) : 'not UTF-8';
  if (problem === null) return splices.length === 0 ? null : { bytes, splices };
  if (splices.length > 0 || holdsExpression(bytes.toString('latin1'), operands.dialect))
    throw malformedJson(problem);
  return null;
}

/** The value is JSON-escaped by writing the whole literal anew. */
export function renderJsonBody(template: JsonTemplate, values: readonly Secret<string>[]): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (const splice of template.splices) {
    parts.push(template.bytes.subarray(from, splice.start));
    const text =
      'slot' in splice ? values[splice.slot]!.reveal() : JSON.stringify(renderPieces(splice.pieces, values));
    parts.push(Buffer.from(text));
    from = splice.end;
  }
  parts.push(template.bytes.subarray(from));
  return Buffer.concat(parts);
}
