import { isPercentEncoded } from '../../../../kernel/percent-encoding.js';
import type { RouteSettings } from '../../../routes/index.js';
import { pathRefused } from '../../errors.js';

interface Base {
  readonly path: string;
  readonly query: string;
}

const bases = new WeakMap<RouteSettings, Base>();

const FORBIDDEN = /[\\\0\r\n]|%(?:25)*(?:5c|00|0d|0a)/i;
const MAY_CLIMB = /\.\.|%(?:25)*2e/i;

/**
 * The base path and behind it the client's, each byte as it came; queries joined, the base's first (dataplane §5.2).
 * `clientPath` begins with a slash.
 */
export function upstreamPath(settings: RouteSettings, target: URL, clientPath: string): string {
  const mark = clientPath.indexOf('?');
  const path = mark === -1 ? clientPath : clientPath.slice(0, mark);
  const query = mark === -1 ? '' : clientPath.slice(mark + 1);
  refuseUnsafe(path);
  const base = baseOf(settings, target);
  const joined = base.query === '' || query === '' ? base.query + query : `${base.query}&${query}`;
  return joined === '' ? base.path + path : `${base.path}${path}?${joined}`;
}

function baseOf(settings: RouteSettings, { pathname, search }: URL): Base {
  const known = bases.get(settings);
  if (known) return known;
  const path = pathname.endsWith('/') ? pathname.slice(0, -1) : pathname;
  const base = { path, query: search.slice(1) };
  bases.set(settings, base);
  return base;
}

/**
 * Readers differ in what they undo before they resolve `..`: encoded dots and slashes, an encoding of the encoding,
 * empty segments, parameters behind a semicolon. No reading may leave the base path.
 */
function refuseUnsafe(path: string): void {
  if (!isPercentEncoded(path)) throw pathRefused('must be valid percent-encoded UTF-8');
  if (FORBIDDEN.test(path))
    throw pathRefused('must not hold a backslash, a line break or NUL, encoded or not');
  if (!MAY_CLIMB.test(path)) return;
  const dotted = path.replace(/%(?:25)*2e/gi, '.');
  // Who keeps encoded slashes has fewer segments to climb out of than who undoes them.
  refuseClimbing(dotted);
  refuseClimbing(dotted.replace(/%(?:25)*2f/gi, '/'));
}

function refuseClimbing(path: string): void {
  let depth = 0;
  for (const segment of path.split('/')) {
    const name = segment.split(/;|%(?:25)*3b/i, 1)[0]!;
    if (name === '..') depth -= 1;
    else if (name !== '' && name !== '.') depth += 1;
    if (depth < 0) throw pathRefused('must not climb out of the route’s base path');
  }
}
