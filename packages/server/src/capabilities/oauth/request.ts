import type { RequestId } from '../../kernel/ids.js';
import type { ResolvedHost } from '../../platform/http/hosts.js';
import { invalidRequest } from './errors.js';

/** A call of an OAuth endpoint, as HTTP gives it. */
export interface OAuthRequest {
  readonly method: string;
  readonly rawHeaders: readonly string[];
  readonly host: ResolvedHost;
  /** Public origin of the host that was called. */
  readonly origin: string;
  /** As it was called, without the query. */
  readonly path: string;
  readonly params: Params;
  readonly requestId: RequestId;
  readonly ip: string | null;
}

/** Members of the answer, and headers beside those of every answer. */
export interface OAuthAnswer {
  readonly body: Record<string, unknown>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The parameters of a body; what is empty is as absent (RFC 6749 §3.2), but for those that auth.md §2.8 names. */
export type Params = ReadonlyMap<string, string>;

const PARAMETERS_MAX = 100;
/** A target that came out empty must not widen the token to every target. */
const MEANT_WHEN_EMPTY: ReadonlySet<string> = new Set(['resource']);

export function formParams(body: string): Params {
  const pairs = [...new URLSearchParams(body)];
  // The decoder puts this in place of what is no UTF-8.
  if (pairs.some((pair) => pair.some((text) => text.includes('\ufffd'))))
    throw invalidRequest('The body is not form-encoded UTF-8');
  return paramsOf(pairs);
}

/** Members of a JSON object, each a text. */
export function jsonParams(value: unknown): Params {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidRequest('The body must be a JSON object');
  const pairs = Object.entries(value).map(([name, member]): [string, string] => {
    if (typeof member !== 'string') throw invalidRequest(`${printable(name)} must be a text`);
    return [name, member];
  });
  return paramsOf(pairs);
}

function paramsOf(pairs: readonly (readonly [string, string])[]): Params {
  if (pairs.length > PARAMETERS_MAX) throw invalidRequest('The body has too many parameters');
  const params = new Map<string, string>();
  const seen = new Set<string>();
  for (const [name, value] of pairs) {
    if (seen.has(name)) throw invalidRequest(`The parameter ${printable(name)} is sent twice`);
    seen.add(name);
    if (value.includes('\0')) throw invalidRequest(`The parameter ${printable(name)} holds NUL`);
    if (value !== '' || MEANT_WHEN_EMPTY.has(name)) params.set(name, value);
  }
  return params;
}

export function required(params: Params, name: string): string {
  const value = params.get(name);
  if (value === undefined) throw invalidRequest(`The parameter ${name} is missing`);
  return value;
}

/** Every value of a header, where each counts. */
export function headerValues(rawHeaders: readonly string[], wanted: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() === wanted) values.push(rawHeaders[i + 1]!);
  }
  return values;
}

const SHOWN_CHARACTERS_MAX = 64;

/** What a caller wrote, fit for `error_description` (RFC 6749 §5.2). */
export function printable(text: string): string {
  return text.slice(0, SHOWN_CHARACTERS_MAX).replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '?');
}
