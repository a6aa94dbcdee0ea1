import { type Cidr, cidrContains, parseCidr, parseIpAddress, unmapIpv4 } from '../../kernel/ip-address.js';

/** `::ffff:0:0/96` */
const MAPPED_PREFIX = 96;

/** Addresses and ranges of a route, read once. */
export class IpAllowlist {
  /** Null: anybody. */
  readonly #ranges: readonly Cidr[] | null;

  /** An entry that cannot be read covers nobody; a list of such entries alone lets nobody by. */
  constructor(entries: readonly string[]) {
    this.#ranges = entries.length === 0 ? null : entries.flatMap((entry) => rangeOf(entry) ?? []);
  }

  /** Null: where the request came from is not known. */
  covers(ip: string | null): boolean {
    if (this.#ranges === null) return true;
    const address = ip === null ? null : parseIpAddress(ip);
    if (address === null) return false;
    const unmapped = unmapIpv4(address);
    return this.#ranges.some((range) => cidrContains(range, unmapped));
  }
}

const lists = new WeakMap<readonly string[], IpAllowlist>();

/** Step 5 of dataplane.md §5.3. The same list is read once, as long as it is the same object. */
export function ipAllowed(entries: readonly string[], ip: string | null): boolean {
  if (entries.length === 0) return true;
  let list = lists.get(entries);
  if (!list) {
    list = new IpAllowlist(entries);
    lists.set(entries, list);
  }
  return list.covers(ip);
}

/** Mapped IPv4 as IPv4, as addresses are; a range of them too. */
function rangeOf(entry: string): Cidr | null {
  const range = parseCidr(entry);
  if (range === null || range.prefix < MAPPED_PREFIX) return range;
  const address = unmapIpv4(range.address);
  return address === range.address ? range : { address, prefix: range.prefix - MAPPED_PREFIX };
}
