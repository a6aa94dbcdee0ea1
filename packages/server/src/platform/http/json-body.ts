import { isUtf8 } from 'node:buffer';
import { AppError, validationError } from '../../kernel/errors.js';
import { type JsonMember, membersOf } from '../../kernel/json-members.js';
import { jsonShapeOf } from '../../kernel/json-shape.js';
import { JsonText } from '../../kernel/json-text.js';
import { LIMITS } from '../../kernel/limits.js';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Beside what is kept as text, which may be megabytes: names, roles, origins. */
const AROUND_BYTES_MAX = 64 * 1024;
const AROUND_MEMBERS_MAX = 100;

/**
 * Parses a JSON body within the limits of contract README §7. An empty body is `undefined`. Members of an object that
 * `kept` names come as `JsonText`; then nothing else may be large, since of megabytes of lists a value takes seconds.
 */
export function parseJsonBody(bytes: Buffer, kept: readonly string[] = []): unknown {
  if (bytes.length === 0) return undefined;
  if (kept.length === 0) return parseValue(bytes);
  const members = isUtf8(bytes) ? membersOf(bytes, AROUND_MEMBERS_MAX) : null;
  if (members !== null) return parseAround(bytes, members, kept);
  if (bytes.length > AROUND_BYTES_MAX)
    throw validationError('body', `is not a JSON object in UTF-8 of at most ${LIMITS.jsonDepthMax} levels`);
  return parseValue(bytes);
}

/** The rest is parsed as any body, with null in place of what is kept: of that no value is made, however large it is. */
function parseAround(bytes: Buffer, members: readonly JsonMember[], kept: readonly string[]): unknown {
  const texts = new Map<string, JsonText>();
  const rest: Buffer[] = [];
  let from = 0;
  for (const { name, start, end } of members) {
    if (!kept.includes(name)) continue;
    if (texts.has(name)) throw validationError(name, 'is given twice');
    texts.set(name, new JsonText(bytes.subarray(start, end)));
    rest.push(bytes.subarray(from, start), NULL);
    from = end;
  }
  const around = Buffer.concat([...rest, bytes.subarray(from)]);
  if (around.length > AROUND_BYTES_MAX)
    throw validationError('body', `holds more than ${AROUND_BYTES_MAX} bytes beside ${kept.join(', ')}`);
  return Object.assign(parseValue(around) as Record<string, unknown>, Object.fromEntries(texts));
}

const NULL = Buffer.from('null');

function parseValue(bytes: Buffer): unknown {
  const text = decode(bytes);
  const shape = jsonShapeOf(text);
  if (typeof shape === 'string') throw validationError('body', shape);
  const value = parse(text);
  // NUL and lone surrogates can only have come in as escapes, so most bodies need no walk.
  if (SUSPECT.test(text)) checkTexts(value, 'body');
  return value;
}

/** The escapes 5f to 7a are those of the letters that `__proto__` can be spelt with. */
const SUSPECT = /\\u0000|\\u[dD][89a-fA-F]|__proto__|\\u00[5-7]/;

function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw validationError('body', 'is not UTF-8');
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the body, which may hold a secret.
    throw validationError('body', 'is not valid JSON');
  }
}

interface Place {
  readonly value: unknown;
  readonly name: string;
  readonly parent: Place | null;
}

/**
 * Every text and name in a value. PostgreSQL cannot store NUL, no database a lone surrogate; `__proto__` as a name is
 * refused before any code can assign it.
 */
export function checkTexts(root: unknown, rootName: string): void {
  const pending: Place[] = [{ value: root, name: rootName, parent: null }];
  for (let place = pending.pop(); place !== undefined; place = pending.pop()) {
    const { value } = place;
    if (typeof value === 'string' && !isStorableText(value)) refuse(place, 'holds NUL or a lone surrogate');
    if (typeof value !== 'object' || value === null) continue;
    for (const [name, member] of Object.entries(value)) {
      if (name === '__proto__' || !isStorableText(name))
        refuse(place, 'has a member of a name that is not allowed');
      pending.push({ value: member, name, parent: place });
    }
  }
}

function refuse(place: Place, rule: string): never {
  const names: string[] = [];
  for (let at: Place | null = place; at?.parent; at = at.parent) names.unshift(at.name);
  throw validationError(names.join('.') || place.name, rule);
}

function isStorableText(text: string): boolean {
  return !/[\0\p{Surrogate}]/u.test(text);
}

const MEDIA_TYPE_CHARACTERS_MAX = 128;

/** A JSON body is due: `application/json`, with `charset=utf-8` or none. */
export function isJsonMediaType(contentType: string): boolean {
  // Before any pattern looks at it: a header may have 32 KiB.
  if (contentType.length > MEDIA_TYPE_CHARACTERS_MAX) return false;
  return /^\s*application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?;?\s*$/i.test(contentType);
}

export function payloadTooLarge(bytesMax?: number): AppError {
  const limit = bytesMax === undefined ? '' : ` of ${bytesMax} bytes`;
  return new AppError('payload_too_large', `The request body is above the limit${limit}`);
}

export function unsupportedMediaType(): AppError {
  return new AppError('unsupported_media_type', 'The request body must be application/json in UTF-8');
}
