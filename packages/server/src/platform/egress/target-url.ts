import { LIMITS } from '../../kernel/limits.js';
import { invalidProxyUrl } from './errors.js';
import { withoutRootDot } from './name-policy.js';

/** Parsers drop tabs and line ends and trim the rest, so no reader of the raw text could tell where it leads (S41). */
const SPACE_OR_CONTROL = /[\u0000-\u0020\u007f-\u009f]/;
/** Slashes are optional to the parser, and a backslash is one (S07, S37): the authority ends at any of these. */
const AUTHORITY = /^[a-z][a-z0-9+.-]*:[/\\]*([^/\\?#]*)/i;

export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'http:' ? 80 : 443;
}

/** The URL as it goes on: re-serialised, without fragment and root dot. Name and port are judged by the caller. */
export function parseTargetUrl(raw: string, mayBePlain = false): URL {
  if (Buffer.byteLength(raw) > LIMITS.proxyUrlBytesMax) throw invalidProxyUrl('The URL is longer than 8 KiB');
  // Two header fields arrive joined by a comma and a space (S05).
  if (SPACE_OR_CONTROL.test(raw)) throw invalidProxyUrl('The URL holds a space or a control character');
  const url = parsed(raw);
  if (url.protocol !== 'https:' && !(mayBePlain && url.protocol === 'http:'))
    throw invalidProxyUrl(`The URL must begin with https:${mayBePlain ? ' or http:' : ''}`);
  if (
    url.username !== '' ||
    url.password !== '' ||
    (raw.includes('@') && AUTHORITY.exec(raw)?.[1]?.includes('@'))
  ) {
    throw invalidProxyUrl('The URL must not hold a user name or password');
  }
  if (raw.includes('#')) url.hash = '';
  if (url.hostname.endsWith('.')) dropRootDot(url);
  return url;
}

function parsed(raw: string): URL {
  try {
    return new URL(raw);
  } catch {
    throw invalidProxyUrl('The URL cannot be parsed');
  }
}

/** The setter ignores a host that it cannot take (`.`), which must then not pass as it stands. */
function dropRootDot(url: URL): void {
  const hostname = withoutRootDot(url.hostname);
  url.hostname = hostname;
  if (hostname === '' || url.hostname !== hostname) throw invalidProxyUrl('The host is not a DNS name');
}
