import { isUtf8 } from 'node:buffer';
import { validationError } from '../../kernel/errors.js';
import { scanJson } from '../../kernel/json-scanner.js';
import { LIMITS } from '../../kernel/limits.js';
import { MASK_TEXT } from '../../kernel/secret.js';
import { templateError } from './errors.js';

/** The JSON of `X-Knox-Encrypted`, which `{{ encrypted | json: $.path }}` reads from (dataplane.md §2.1). */
export interface EncryptedDocument {
  readonly root: unknown;
}

const HEADER = 'X-Knox-Encrypted';
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

export function parseEncryptedHeader(text: string): EncryptedDocument {
  if (text.length > LIMITS.encryptedHeaderCharactersMax) {
    throw validationError(HEADER, `must be at most ${LIMITS.encryptedHeaderCharactersMax} characters`);
  }
  if (!BASE64.test(text)) throw validationError(HEADER, 'must be base64');
  const bytes = Buffer.from(text, 'base64');
  const problem = isUtf8(bytes) ? scanJson(bytes, {}) : 'not UTF-8';
  if (problem !== null) throw validationError(HEADER, `must be the base64 of JSON (${problem})`);
  return { root: JSON.parse(bytes.toString('utf8').replace(/^\uFEFF/, '')) as unknown };
}

/** The same paths, each with the mask in place of what stands there. */
export function maskedDocument(document: EncryptedDocument): EncryptedDocument {
  return { root: masked(document.root) };
}

/** As deep as a document may be (`LIMITS.jsonDepthMax`). */
function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== 'object' || value === null) return MASK_TEXT;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, masked(member)]));
}

const STEP = /\.([^.[\]\s{}]+)|\[(0|[1-9][0-9]{0,8})\]/y;

/** `$`, then `.name` or `[index]` steps. A string is given as it is, everything else as JSON. */
export function readPath(document: EncryptedDocument | null, path: string): string {
  if (document === null)
    throw templateError(`An encrypted expression reads from ${HEADER}, which was not sent`);
  let value = document.root;
  let at = 1;
  while (at < path.length) {
    STEP.lastIndex = at;
    const step = STEP.exec(path);
    if (step === null)
      throw templateError('An encrypted expression has a path that is not $ with .name or [index]');
    value = childOf(value, step[1] ?? Number(step[2]));
    at = STEP.lastIndex;
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function childOf(value: unknown, step: string | number): unknown {
  const fits = typeof step === 'number' ? Array.isArray(value) : isRecord(value);
  if (!fits || !Object.hasOwn(value as object, step)) {
    throw templateError(`An encrypted expression has a path that ${HEADER} does not have`);
  }
  return (value as Record<string | number, unknown>)[step];
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
