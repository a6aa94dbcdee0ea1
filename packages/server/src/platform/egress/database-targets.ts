import { type Cidr, cidrContains, type IpAddress, parseCidr } from '../../kernel/ip-address.js';
import { classifyAddress } from './address-policy.js';
import { isDnsName, readsAsAddress, withoutRootDot } from './name-policy.js';
import { inPortRanges, type PortRange, parsePortRanges } from './port-policy.js';
import { splitPorts } from './private-upstreams.js';

/** One of KNOX_DB_ALLOW_TARGETS or KNOX_DB_DENY_TARGETS (contract README §8, §9). */
export interface TargetEntry {
  readonly covers:
    | { readonly kind: 'everything' }
    | { readonly kind: 'public' }
    | { readonly kind: 'range'; readonly range: Cidr }
    | { readonly kind: 'name'; readonly name: string }
    /** `.example.com`: what stands below it, not the name itself. */
    | { readonly kind: 'below'; readonly dotted: string };
  /** Null = every port. */
  readonly ports: readonly PortRange[] | null;
}

export const EVERY_TARGET: readonly TargetEntry[] = [{ covers: { kind: 'everything' }, ports: null }];

/** A comma list of `*`, `public`, host, `*.host` or range, each with optional `:port`; or the rule that it breaks. */
export function parseTargetList(text: string): readonly TargetEntry[] | string {
  const entries: TargetEntry[] = [];
  for (const part of text.split(',').map((one) => one.trim())) {
    if (part === '') continue;
    const entry = parseEntry(part);
    if (typeof entry === 'string') return entry;
    entries.push(entry);
  }
  return entries;
}

/** A host as it was written, before anything is resolved. */
export interface WrittenTarget {
  /** Null where an address was written. */
  readonly name: string | null;
  /** Null while a name is not resolved. */
  readonly address: IpAddress | null;
  readonly port: number;
}

export function isCovered(entries: readonly TargetEntry[], target: WrittenTarget): boolean {
  return entries.some(({ covers, ports }) => isOnPort(ports, target.port) && coversTarget(covers, target));
}

/** Whether an address that the name leads to could be covered, whatever the name is. */
export function mayCoverAddress(entries: readonly TargetEntry[], port: number): boolean {
  return entries.some(
    ({ covers, ports }) => isOnPort(ports, port) && (covers.kind === 'range' || covers.kind === 'public'),
  );
}

function isOnPort(ports: TargetEntry['ports'], port: number): boolean {
  return ports === null || inPortRanges(ports, port);
}

function coversTarget(covers: TargetEntry['covers'], { name, address }: WrittenTarget): boolean {
  switch (covers.kind) {
    case 'everything':
      return true;
    case 'public':
      return address !== null && classifyAddress(address) === 'public';
    case 'range':
      return address !== null && cidrContains(covers.range, address);
    case 'name':
      return name === covers.name;
    case 'below':
      return name?.endsWith(covers.dotted) ?? false;
  }
}

function parseEntry(text: string): TargetEntry | string {
  const { subject, portsText } = splitPorts(text);
  const ports = portsText === null ? null : parsePortRanges(portsText);
  if (portsText !== null && ports === null) {
    return `must name ports as 5432, 5432-5440 or 5432+6432; "${text}" does not`;
  }
  const covers = parseSubject(subject);
  if (covers === null) {
    return `must be a comma list of *, public, host, *.host or CIDR, each with optional :port; "${text}" is none`;
  }
  return { covers, ports };
}

function parseSubject(subject: string): TargetEntry['covers'] | null {
  if (subject === '*') return { kind: 'everything' };
  if (subject.toLowerCase() === 'public') return { kind: 'public' };
  const range = parseCidr(subject);
  if (range) return { kind: 'range', range };
  const host = withoutRootDot(subject.toLowerCase());
  const isBelow = host.startsWith('*.');
  const name = isBelow ? host.slice(2) : host;
  if (!isDnsName(name) || readsAsAddress(name)) return null;
  return isBelow ? { kind: 'below', dotted: `.${name}` } : { kind: 'name', name };
}
