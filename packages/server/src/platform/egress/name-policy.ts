import { isIP } from 'node:net';

/** Special-use and cluster-internal suffixes: never asked of the DNS (dataplane §8, RFC 6761, RFC 6762, RFC 8375). */
const INTERNAL_SUFFIXES = suffixes([
  'localhost',
  'internal',
  'local',
  'home.arpa',
  'svc',
  'cluster.local',
  'onion',
  'test',
  'invalid',
]);

/** Cloud metadata by name; no list opens them. */
const METADATA_NAMES = suffixes([
  'metadata.google.internal',
  'metadata.goog',
  'metadata.azure.internal',
  'metadata.tencentyun.com',
  'instance-data.ec2.internal',
]);
const LOCALHOST = suffixes(['localhost']);

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
  readonly ownNames: readonly Suffix[];
  /** Whether the operator opened the name for this tenant. */
  isOpened(hostname: string): boolean;
}

/** A name with its dotted form, made once: names are compared on every call. */
export interface Suffix {
  readonly name: string;
  readonly dotted: string;
}

export function suffixes(names: readonly string[]): readonly Suffix[] {
  return names.map((name) => ({ name, dotted: `.${name}` }));
}

/** One of the names itself or below it; never a name that only ends in the same letters. */
export function isUnderAny(hostname: string, among: readonly Suffix[]): boolean {
  return among.some(({ name, dotted }) => hostname === name || hostname.endsWith(dotted));
}

/** In lower case and A-labels, without the dot of the root. */
export function isDnsName(hostname: string): boolean {
  return hostname.length <= 253 && hostname.split('.').every((label) => LABEL.test(label));
}

/** RFC 3696 §2: no top-level domain is all digits. Some resolver reads such a name as an address. */
export function readsAsAddress(hostname: string): boolean {
  return /^(\d+|0x[0-9a-f]*)$/.test(hostname.slice(hostname.lastIndexOf('.') + 1));
}

export function isMetadataName(hostname: string): boolean {
  return isUnderAny(hostname, METADATA_NAMES);
}

/** Judges a host as `URL` gives it, root dot removed. Null = it may be resolved. */
export function judgeName(hostname: string, rules: NameRules): NameRefusal | null {
  if (hostname.startsWith('[') || isIP(hostname) !== 0) return 'ip_literal';
  if (!isDnsName(hostname)) return 'not_a_name';
  if (readsAsAddress(hostname)) return 'ip_literal';
  if (isMetadataName(hostname)) return 'metadata_name';
  if (isUnderAny(hostname, rules.ownNames)) return 'own_name';
  if (isUnderAny(hostname, LOCALHOST) && !rules.isOpened(hostname)) return 'internal_name';
  if (!hostname.includes('.')) return 'single_label';
  if (isUnderAny(hostname, INTERNAL_SUFFIXES) && !rules.isOpened(hostname)) return 'internal_name';
  return null;
}

/** A tenant's allowlist: exact hosts or `*.example.com`; empty = every public host (dataplane §8). */
export interface HostList {
  covers(hostname: string): boolean;
}

/** Looked up label by label, so that a call pays for the labels of its host and not for the length of the list. */
export function createHostList(hosts: readonly string[]): HostList {
  const entries = new Set(hosts.map((host) => withoutRootDot(host.toLowerCase())));
  return {
    covers(hostname) {
      if (entries.size === 0 || entries.has(hostname)) return true;
      for (let dot = hostname.indexOf('.'); dot !== -1; dot = hostname.indexOf('.', dot + 1)) {
        if (entries.has(`*${hostname.slice(dot)}`)) return true;
      }
      return false;
    },
  };
}

/** Why an entry of an allowlist can match no host; null = it can. */
export function hostEntryProblem(entry: string): string | null {
  const host = withoutRootDot(entry.toLowerCase());
  const name = host.startsWith('*.') ? host.slice(2) : host;
  if (name.includes('*')) return 'may hold a star only as its whole first label, as in *.example.com';
  if (isIP(name) !== 0 || name.startsWith('[')) return 'must be a name, not an address';
  if (!isDnsName(name)) {
    return 'must be a DNS host name without scheme, port or path, in ASCII (xn-- form)';
  }
  if (!name.includes('.') && name === host) return 'must have at least two labels';
  return null;
}
