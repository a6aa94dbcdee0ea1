import { type Cidr, cidrContains, cidrWithin, type IpAddress, parseCidr } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import { classifyAddress, isClosedForGood } from './address-policy.js';
import type { AddressClass } from './egress.js';
import { isUnderAny, type Suffix, suffixes } from './name-policy.js';
import { inPortRanges, type PortRange, parsePortRanges } from './port-policy.js';

const LOOPBACK_RANGES = [parseCidr('127.0.0.0/8')!, parseCidr('::1')!];
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

interface Entry {
  readonly opens: { readonly range: Cidr } | { readonly suffixes: readonly Suffix[] };
  readonly ports: readonly PortRange[];
  /** Null = every tenant. */
  readonly tenantSlug: string | null;
}

/** What the operator opened beyond the public internet (contract README §9), as one tenant sees it. */
export interface PrivateUpstreams {
  /** Whether the name stands under a listed suffix: such a name passes the name rule. */
  opensName(hostname: string, tenantSlug: string): boolean;
  /** Whether some entry could open this port for the name; a range's ports are judged again after resolution. */
  mayOpenPort(hostname: string, port: number, tenantSlug: string): boolean;
  opensAddress(target: { hostname: string; address: IpAddress; tenantSlug: string }): boolean;
  opensPort(target: { hostname: string; address: IpAddress; port: number; tenantSlug: string }): boolean;
}

/** Throws an error that names the variable and the entry. */
export function parsePrivateUpstreams(text: string): PrivateUpstreams {
  const entries = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseEntry);
  const entriesOf = (tenantSlug: string) =>
    entries.filter((entry) => entry.tenantSlug === null || entry.tenantSlug === tenantSlug);
  const matching = (hostname: string, address: IpAddress | null, tenantSlug: string) =>
    entriesOf(tenantSlug).filter(({ opens }) =>
      'range' in opens
        ? address !== null && cidrContains(opens.range, address)
        : isUnderAny(hostname, opens.suffixes),
    );
  return {
    opensName: (hostname, tenantSlug) => matching(hostname, null, tenantSlug).length > 0,
    mayOpenPort: (hostname, port, tenantSlug) =>
      entriesOf(tenantSlug).some(
        ({ opens, ports }) =>
          ('range' in opens || isUnderAny(hostname, opens.suffixes)) && inPortRanges(ports, port),
      ),
    opensAddress({ hostname, address, tenantSlug }) {
      const addressClass = classifyAddress(address);
      if (isClosedForGood(addressClass)) return false;
      return matching(hostname, address, tenantSlug).some((entry) => opensClass(entry, addressClass));
    },
    opensPort: ({ hostname, address, port, tenantSlug }) =>
      matching(hostname, address, tenantSlug).some(({ ports }) => inPortRanges(ports, port)),
  };
}

/** The rule that the value breaks, or null: for the check of the configuration at start. */
export function privateUpstreamsProblem(text: string): string | null {
  return problemOf(() => parsePrivateUpstreams(text));
}

function problemOf(parse: () => unknown): string | null {
  try {
    parse();
    return null;
  } catch (error) {
    return error instanceof EntryError ? error.rule : String(error);
  }
}

function opensClass({ opens }: Entry, addressClass: AddressClass): boolean {
  if ('suffixes' in opens) return addressClass === 'private' || addressClass === 'shared';
  // A wide range must not open loopback by the way: only a range that is nothing but loopback does.
  return addressClass !== 'loopback' || LOOPBACK_RANGES.some((loopback) => cidrWithin(opens.range, loopback));
}

class EntryError extends Error {
  constructor(
    readonly rule: string,
    variable = 'KNOX_ALLOW_PRIVATE_UPSTREAMS',
  ) {
    super(`${variable} ${rule}`);
  }
}

/** What ACME validation may reach beyond the public internet (contract README §9): the same, for everybody and every port. */
export interface ValidationTargets {
  opensName(hostname: string): boolean;
  opensAddress(hostname: string, address: IpAddress): boolean;
}

/** A comma list of CIDR and name suffixes. Throws an error that names the variable and the entry. */
export function parseValidationTargets(text: string): ValidationTargets {
  try {
    return readValidationTargets(text);
  } catch (error) {
    throw error instanceof EntryError ? new EntryError(error.rule, 'KNOX_ACME_VALIDATION_TARGETS') : error;
  }
}

function readValidationTargets(text: string): ValidationTargets {
  for (const part of text.split(',')) {
    const entry = part.trim();
    if (entry.includes('@')) throw new EntryError(`has the entry ${entry}: it takes no tenant slug`);
    if (splitPorts(entry).portsText !== null)
      throw new EntryError(`has the entry ${entry}: it takes no ports`);
  }
  const { opensName, opensAddress } = parsePrivateUpstreams(text);
  return {
    opensName: (hostname) => opensName(hostname, ''),
    opensAddress: (hostname, address) => opensAddress({ hostname, address, tenantSlug: '' }),
  };
}

export function validationTargetsProblem(text: string): string | null {
  return problemOf(() => parseValidationTargets(text));
}

/** `<cidr or name suffix>[:ports][@tenant-slug]`. */
function parseEntry(text: string): Entry {
  const [target = '', tenantSlug = null, ...more] = text.split('@');
  if (more.length > 0 || tenantSlug === '')
    throw new EntryError(`has the entry ${text}: a tenant slug follows one @`);
  const { subject, portsText } = splitPorts(target);
  const ports = portsText === null ? [] : parsePortRanges(portsText);
  if (!ports) {
    throw new EntryError(`has the entry ${text}: ports are written as 22, 8000-8100 or 22+8000-8100`);
  }
  return { opens: parseSubject(subject, text), ports, tenantSlug };
}

export function splitPorts(target: string): { subject: string; portsText: string | null } {
  const bracketed = /^\[([^\]]*)\](\/\d+)?(?::(.*))?$/.exec(target);
  if (bracketed) return { subject: `${bracketed[1]}${bracketed[2] ?? ''}`, portsText: bracketed[3] ?? null };
  // In IPv6 the colon of the ports is the one after the prefix.
  const from = target.includes('/') ? target.indexOf('/') : 0;
  const isBareIpv6 = from === 0 && target.indexOf(':') !== target.lastIndexOf(':');
  const colon = isBareIpv6 ? -1 : target.indexOf(':', from);
  if (colon === -1) return { subject: target, portsText: null };
  return { subject: target.slice(0, colon), portsText: target.slice(colon + 1) };
}

function parseSubject(subject: string, entry: string): Entry['opens'] {
  const range = parseCidr(subject);
  if (range) {
    const bitsMin = LIMITS.operatorPrefixMin[range.address.family];
    if (range.prefix < bitsMin) {
      throw new EntryError(
        `has the entry ${entry}, which is too wide: at least /${bitsMin} for IPv${range.address.family}`,
      );
    }
    return { range };
  }
  const suffix = subject.toLowerCase().replace(/^\./, '').replace(/\.$/, '');
  const labels = suffix.split('.');
  // A last label of digits can only be an address gone wrong.
  if (!labels.every((label) => LABEL.test(label)) || /^\d+$/.test(labels.at(-1)!)) {
    throw new EntryError(`has the entry ${entry}, which is neither a range (10.0.0.0/8) nor a name suffix`);
  }
  return { suffixes: suffixes([suffix]) };
}
