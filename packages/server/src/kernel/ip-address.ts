/** An address by its bytes: 4 or 16 of them. Text forms are many, bytes are one, so every rule is written on bytes. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
}

export interface Cidr {
  readonly address: IpAddress;
  readonly prefix: number;
}

/** Strict: four decimal parts without leading zeros, or RFC 4291 §2.2 without a zone. Null for anything else. */
export function parseIpAddress(text: string): IpAddress | null {
  const bytes = text.includes(':') ? parseIpv6(text) : parseIpv4(text);
  return bytes && { family: bytes.length === 4 ? 4 : 6, bytes };
}

export function ipAddressFromBytes(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) return { family: 4, bytes };
  if (bytes.length === 16) return { family: 6, bytes };
  throw new RangeError('an IP address has 4 or 16 bytes');
}

/** Canonical text: dotted decimal, RFC 5952 without the dotted tail (so that equal bytes give equal text). */
export function formatIpAddress({ family, bytes }: IpAddress): string {
  if (family === 4) return bytes.join('.');
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!);
  const zeros = longestZeroRun(groups);
  const hex = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return zeros.length < 2 ? hex(0, 8) : `${hex(0, zeros.start)}::${hex(zeros.start + zeros.length, 8)}`;
}

export function sameIpAddress(a: IpAddress, b: IpAddress): boolean {
  return a.family === b.family && a.bytes.every((byte, i) => byte === b.bytes[i]);
}

/** `address/prefix`; a bare address is its own range. Null when malformed or when bits beyond the prefix are set. */
export function parseCidr(text: string): Cidr | null {
  const [addressText = '', prefixText, ...more] = text.split('/');
  const address = parseIpAddress(addressText);
  if (!address || more.length > 0) return null;
  const bits = address.bytes.length * 8;
  const prefix = prefixText === undefined ? bits : parsePrefix(prefixText, bits);
  if (prefix === null) return null;
  return maskedBytes(address, prefix).every((byte, i) => byte === address.bytes[i])
    ? { address, prefix }
    : null;
}

/** A length in decimal without leading zeros; null for anything else, and beyond the `bits` that there are. */
export function parsePrefix(text: string, bits: number): number | null {
  return /^(0|[1-9]\d{0,2})$/.test(text) && Number(text) <= bits ? Number(text) : null;
}

/** The bytes of an address without its bits beyond the prefix. */
export function maskedBytes({ bytes }: IpAddress, prefix: number): Uint8Array {
  return bytes.map((byte, i) => byte & prefixMask(prefix, i));
}

export function cidrContains(cidr: Cidr, address: IpAddress): boolean {
  if (cidr.address.family !== address.family) return false;
  for (let i = 0; i * 8 < cidr.prefix; i++) {
    if ((address.bytes[i]! & prefixMask(cidr.prefix, i)) !== cidr.address.bytes[i]) return false;
  }
  return true;
}

/** Whether every address of `inner` is in `outer`. */
export function cidrWithin(inner: Cidr, outer: Cidr): boolean {
  return inner.prefix >= outer.prefix && cidrContains(outer, inner.address);
}

/** The IPv4 address inside `::ffff:0:0/96`, else the address itself: sockets print their IPv4 peers that way. */
export function unmapIpv4(address: IpAddress): IpAddress {
  const { bytes } = address;
  const isMapped =
    address.family === 6 &&
    bytes[10] === 0xff &&
    bytes[11] === 0xff &&
    bytes.subarray(0, 10).every((b) => b === 0);
  return isMapped ? { family: 4, bytes: bytes.slice(12) } : address;
}

const LOOPBACK = ['127.0.0.0/8', '::1'].map((range) => parseCidr(range)!);

export function isLoopback(address: IpAddress): boolean {
  return LOOPBACK.some((range) => cidrContains(range, address));
}

/** `localhost` or an address of loopback, as it stands in a URL or a `Host`, without its port. */
export function isLoopbackHost(host: string): boolean {
  const address = parseIpAddress(host.replace(/^\[(.*)\]$/, '$1'));
  return host === 'localhost' || (address !== null && isLoopback(address));
}

function prefixMask(prefix: number, byteIndex: number): number {
  const bits = Math.min(8, Math.max(0, prefix - byteIndex * 8));
  return (0xff << (8 - bits)) & 0xff;
}

function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    const part = parts[i]!;
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null;
    bytes[i] = Number(part);
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (!head || !tail) return null;
  const length = head.length + tail.length;
  // `::` stands for at least one group of zeros.
  if (halves.length === 1 ? length !== 16 : length > 14) return null;
  const bytes = new Uint8Array(16);
  bytes.set(head, 0);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** What a limit counts by: one subscriber has at least an IPv6 /64 to choose addresses from. */
export function networkOf(ip: string | null): string {
  const address = ip === null ? null : parseIpAddress(ip);
  if (address?.family !== 6) return ip ?? '';
  return Buffer.from(address.bytes.subarray(0, 8)).toString('hex');
}

function parseGroups(text: string, mayEndInIpv4: boolean): number[] | null {
  if (text === '') return [];
  const parts = text.split(':');
  const bytes: number[] = [];
  for (const [i, part] of parts.entries()) {
    if (mayEndInIpv4 && i === parts.length - 1 && part.includes('.')) {
      const ipv4 = parseIpv4(part);
      if (!ipv4) return null;
      bytes.push(...ipv4);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) return null;
      const group = Number.parseInt(part, 16);
      bytes.push(group >> 8, group & 0xff);
    }
  }
  return bytes;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
