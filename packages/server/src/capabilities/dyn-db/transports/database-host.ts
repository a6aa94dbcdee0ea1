import { isIPv6 } from 'node:net';
import { type IpAddress, parseIpAddress } from '../../../kernel/ip-address.js';
import { isDnsName, readsAsAddress } from '../../../platform/egress/name-policy.js';

/** A host as it stands in a connection: a name in lower case, or an address by its bytes. */
export type DatabaseHost =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'address'; readonly address: IpAddress };

/** What is not the one host of a database, first match wins: drivers would each read it in their own way. */
const REFUSED_FORMS: readonly (readonly [RegExp, string])[] = [
  [/^$/, 'must not be empty'],
  [/[\s\p{Cc}]/u, 'must hold no blanks or control characters'],
  [/^mongodb\+srv:/i, 'must be the host of one server: mongodb+srv names are not looked up'],
  [/:\/\//, 'must be a host alone, without a scheme'],
  [/@/, 'must be a host alone, without a user'],
  [/,/, 'must be one host'],
  [/[/\\?#]/, 'must be a host alone, without path or query; a socket file is none'],
  [/%/, 'must hold no %: no escapes, and no zone of an address'],
  [/[^\p{ASCII}]/u, 'must be in ASCII: write an international name in its xn-- form'],
  [/^(\[.*\]|[^:]*):\d*$/, 'must hold no port: that is a field of its own'],
];

/** The host, or the rule that it breaks. */
export function parseDatabaseHost(text: string): DatabaseHost | string {
  const broken = REFUSED_FORMS.find(([form]) => form.test(text));
  if (broken) return broken[1];
  const bare = text.replace(/^\[(.*)\]$/, '$1');
  const address = parseIpAddress(bare);
  if (address && (bare === text || address.family === 6)) return { kind: 'address', address };
  if (text.includes(':') || bare !== text || isIPv6(bare)) return 'must be a host name or an IP address';
  const name = text.toLowerCase();
  if (name.endsWith('.')) return 'must be written without the dot at its end';
  if (!isDnsName(name)) return 'must be a host name or an IP address';
  if (readsAsAddress(name)) return 'must be written as four decimal numbers if it is an IPv4 address';
  return { kind: 'name', name };
}
