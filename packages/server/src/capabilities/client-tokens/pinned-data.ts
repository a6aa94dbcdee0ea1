import { validationError } from '../../kernel/errors.js';
import { scanJson } from '../../kernel/json-scanner.js';
import type { JsonText } from '../../kernel/json-text.js';
import { LIMITS } from '../../kernel/limits.js';
import { sha256 } from '../../platform/crypto/hashing.js';

/** The token as it is written. */
export function hashOfText(text: string): Buffer {
  return sha256(text);
}

/** The same for two writings of one document: spacing, order of members and escapes do not count. 400 of too many values. */
export function hashOfData({ bytes }: JsonText): Buffer {
  return sha256(canonicalText(bytes));
}

interface Open {
  readonly isObject: boolean;
  /** Of an object with their names in front. */
  readonly parts: { readonly name: string; readonly text: string }[];
  name: string;
}

/**
 * RFC 8785, but for two things: members of one name stay several, since all of them are opened, and a number that is
 * none in JavaScript keeps its digits.
 */
function canonicalText(bytes: Buffer): string {
  const root: Open = { isObject: false, parts: [], name: '' };
  const stack: Open[] = [root];
  const textAt = (start: number, end: number) => bytes.toString('utf8', start, end);
  let values = 0;
  const add = (text: string) => {
    // Thrown from within: of millions of values none is kept.
    if (++values > LIMITS.pinnedValuesMax)
      throw validationError('data', `holds more than ${LIMITS.pinnedValuesMax} values, lists and objects`);
    const { parts, name } = stack.at(-1)!;
    parts.push({ name, text });
  };
  scanJson(bytes, {
    key(start, end) {
      stack.at(-1)!.name = JSON.parse(textAt(start, end)) as string;
    },
    open: (at) => stack.push({ isObject: bytes[at] === 0x7b, parts: [], name: '' }),
    close() {
      add(closed(stack.pop()!));
    },
    scalar: (start, end) => add(scalarText(textAt(start, end))),
  });
  return root.parts.map(({ text }) => text).join();
}

function closed({ isObject, parts }: Open): string {
  if (!isObject) return `[${parts.map(({ text }) => text).join()}]`;
  // Stable: of members of one name the order counts.
  const sorted = parts.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return `{${sorted.map(({ name, text }) => `${JSON.stringify(name)}:${text}`).join()}}`;
}

function scalarText(text: string): string {
  const value = JSON.parse(text) as unknown;
  return typeof value === 'number' && !Number.isFinite(value) ? text : JSON.stringify(value);
}
