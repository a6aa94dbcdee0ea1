/** One step down a JSON value. `deep` steps match at any depth below (`..name`). */
export type PathStep =
  | { readonly kind: 'name'; readonly name: string; readonly deep: boolean }
  | { readonly kind: 'index'; readonly index: number; readonly deep: boolean }
  | { readonly kind: 'any'; readonly deep: boolean };

const PATH_STEPS_MAX = 32;

/** The message says what is wrong and where. */
export class JsonPathError extends Error {
  override readonly name = 'JsonPathError';
}

const NAME = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*/y;
const INDEX = /(?:0|[1-9]\d{0,9})\]/y;

/**
 * The part of RFC 9535 that one pass over a document can answer without looking ahead: `$`, `.name`, `['name']`,
 * `[0]`, `[*]`, `.*`, and `..` before any of them. Filters, slices, unions and negative indexes are refused.
 */
export function parseJsonPath(path: string): PathStep[] {
  if (path[0] !== '$') throw new JsonPathError('a JSON path begins with $');
  const steps: PathStep[] = [];
  let at = 1;
  while (at < path.length) {
    const deep = path.startsWith('..', at);
    if (deep) at += 2;
    const bracket = path[at] === '[';
    if (!deep && !bracket && path[at] !== '.') throw unexpected(path, at);
    if (!deep && !bracket) at += 1;
    const { step, end } = bracket ? parseBracket(path, at, deep) : parseDotted(path, at, deep);
    steps.push(step);
    at = end;
  }
  if (steps.length > PATH_STEPS_MAX)
    throw new JsonPathError(`a JSON path has at most ${PATH_STEPS_MAX} steps`);
  return steps;
}

function parseDotted(path: string, at: number, deep: boolean): { step: PathStep; end: number } {
  if (path[at] === '*') return { step: { kind: 'any', deep }, end: at + 1 };
  NAME.lastIndex = at;
  const name = NAME.exec(path)?.[0];
  if (name === undefined) throw unexpected(path, at);
  return { step: { kind: 'name', name, deep }, end: at + name.length };
}

function parseBracket(path: string, at: number, deep: boolean): { step: PathStep; end: number } {
  const inside = at + 1;
  const first = path[inside];
  if (path.startsWith('*]', inside)) return { step: { kind: 'any', deep }, end: inside + 2 };
  if (first === "'" || first === '"') {
    const { name, end } = parseQuoted(path, inside);
    if (path[end] !== ']') throw unexpected(path, end);
    return { step: { kind: 'name', name, deep }, end: end + 1 };
  }
  INDEX.lastIndex = inside;
  const index = INDEX.exec(path)?.[0];
  if (index !== undefined) {
    return { step: { kind: 'index', index: Number.parseInt(index, 10), deep }, end: inside + index.length };
  }
  if (first === '?') throw new JsonPathError('filters ([?...]) are not available');
  if (first === '-') throw new JsonPathError('negative indexes are not available');
  if (/^[\d:]/.test(path.slice(inside))) throw new JsonPathError('slices and unions are not available');
  throw unexpected(path, inside);
}

const ESCAPES: Readonly<Record<string, string>> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  '/': '/',
  '\\': '\\',
  "'": "'",
  '"': '"',
};

function parseQuoted(path: string, at: number): { name: string; end: number } {
  const quote = path[at]!;
  let name = '';
  let index = at + 1;
  while (index < path.length && path[index] !== quote) {
    if (path[index] !== '\\') {
      name += path[index++];
      continue;
    }
    const hex = /^u([0-9a-fA-F]{4})/.exec(path.slice(index + 1, index + 6));
    const plain = ESCAPES[path[index + 1] ?? ''];
    if (hex === null && plain === undefined) throw unexpected(path, index + 1);
    name += hex ? String.fromCharCode(Number.parseInt(hex[1]!, 16)) : plain;
    index += hex ? 6 : 2;
  }
  if (index >= path.length) throw new JsonPathError('the quoted name is not closed');
  return { name, end: index + 1 };
}

function unexpected(path: string, at: number): JsonPathError {
  const what = at < path.length ? `unexpected "${path[at]}"` : 'unexpected end';
  return new JsonPathError(`${what} at character ${at + 1} of the JSON path`);
}
