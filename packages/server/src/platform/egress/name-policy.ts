import { isIP } from 'node:net';
import { isUnder } from './private-upstreams.js';

/** Special-use and cluster-internal suffixes: never asked of the DNS (dataplane §8, RFC 6761, RFC 6762, RFC 8375). */
const INTERNAL_SUFFIXES = [
  'localhost',
  'internal',
  'local',
  'home.arpa',
  'svc',
  'cluster.local',
  'onion',
  'test',
  'invalid',
];

/** Cloud metadata by name; no list opens them. */
const METADATA_NAMES = [
  'metadata.google.internal',
  'metadata.goog',
  'metadata.azure.internal',
  'metadata.tencentyun.com',
  'instance-data.ec2.internal',
];

/** What WHATWG leaves of a host that is a DNS name: A-labels in lower case. `_` is common in practice (S29). */
const LABEL = /^(?!-+$)[a-z0-9_-]{1,63}$/;

/** The name without the dot of the root: the one form that policies, SNI and Host are made of (S23). */
export function withoutRootDot(hostname: string): string {
  return hostname.endsWith('.') ? hostname.slice(0, -1) : hostname;
}

export type NameRefusal =
  | 'not_a_name'
  | 'ip_literal'
  | 'single_label'
  | 'internal_name'
  | 'metadata_name'
  | 'own_name';

export interface NameRules {
  /** Our own hosts: these names and all below them. */
  readonly ownNames: readonly string[];
  /** Whether the operator opened the name for this tenant. */
  isOpened(hostname: string): boolean;
}

/** Judges a host as `URL` gives it, root dot removed. Null = it may be resolved. */
export function judgeName(hostname: string, rules: NameRules): NameRefusal | null {
  if (hostname.startsWith('[') || isIP(hostname) !== 0) return 'ip_literal';
  const labels = hostname.split('.');
  if (hostname.length > 253 || !labels.every((label) => LABEL.test(label))) return 'not_a_name';
  // RFC 3696 §2: no top-level domain is all digits. Some resolver reads such a name as an address.
  if (/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1)!)) return 'ip_literal';
  if (METADATA_NAMES.some((name) => isUnder(hostname, name))) return 'metadata_name';
  if (rules.ownNames.some((name) => isUnder(hostname, name))) return 'own_name';
  if (isUnder(hostname, 'localhost') && !rules.isOpened(hostname)) return 'internal_name';
  if (labels.length === 1) return 'single_label';
  if (INTERNAL_SUFFIXES.some((suffix) => isUnder(hostname, suffix)) && !rules.isOpened(hostname))
    return 'internal_name';
  return null;
}

/** A tenant's allowlist: exact hosts or `*.example.com`; empty = every public host (dataplane §8). */
export function isHostAllowed(hostname: string, allowedHosts: readonly string[]): boolean {
  if (allowedHosts.length === 0) return true;
  return allowedHosts.some((entry) => {
    const pattern = withoutRootDot(entry.toLowerCase());
    return pattern.startsWith('*.') ? hostname.endsWith(pattern.slice(1)) : hostname === pattern;
  });
}
