import { LIMITS } from '../../kernel/limits.js';
import { readPlaceholders, textsOf } from './placeholders.js';
import type { JsonObject } from './types.js';

/** RFC 9110 §5.6.2. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,255}$/;
/** RFC 9110 §5.5, in bytes that every receiver reads alike: nothing that ends a line. */
const HEADER_VALUE = /^[\t\x20-\x7e]*$/;

/** Of the connection or the message: nobody's but the proxy's (dataplane.md §1.2). */
const PROXY_HEADERS: ReadonlySet<string> = new Set([
  ...['host', 'connection', 'content-length', 'transfer-encoding', 'trailer', 'trailers', 'te', 'upgrade'],
  ...['expect', 'keep-alive', 'proxy-connection', 'proxy-authorization', 'proxy-authenticate', 'via'],
]);
const PROXY_PREFIXES = ['x-knox-', 'x-knoxcall-'];

export function isHeaderName(name: string): boolean {
  return HEADER_NAME.test(name);
}

/** What of `inject_headers_json` no call could send; null = nothing. */
export function headersProblem(headers: Readonly<Record<string, string>>): string | null {
  const names = Object.keys(headers);
  if (names.length > LIMITS.routeHeadersMax)
    return `must not name more than ${LIMITS.routeHeadersMax} headers`;
  const lower = names.map((name) => name.toLowerCase());
  if (new Set(lower).size < lower.length) return 'must name each header once, whatever its case';
  for (const [name, value] of Object.entries(headers)) {
    const problem = headerProblem(name, value);
    if (problem !== null) return problem;
  }
  return null;
}

function headerProblem(name: string, value: string): string | null {
  const lower = name.toLowerCase();
  if (!isHeaderName(name)) return 'holds a name that is none of a header';
  if (PROXY_HEADERS.has(lower) || PROXY_PREFIXES.some((prefix) => lower.startsWith(prefix)))
    return `must not name ${name}, which the proxy sets itself or sends nowhere`;
  if (!HEADER_VALUE.test(value)) return `holds a value of ${name} that is not visible ASCII, spaces and tabs`;
  const reading = readPlaceholders(value);
  return 'problem' in reading ? `${reading.problem}, in ${name}` : null;
}

/** The same of `inject_body_json`. */
export function injectedBodyProblem(body: JsonObject): string | null {
  if (Buffer.byteLength(JSON.stringify(body)) > LIMITS.routeInjectedBodyBytesMax)
    return `must not take more than ${LIMITS.routeInjectedBodyBytesMax} bytes as JSON`;
  for (const text of textsOf(body)) {
    const reading = readPlaceholders(text);
    if ('problem' in reading) return reading.problem;
  }
  return null;
}
