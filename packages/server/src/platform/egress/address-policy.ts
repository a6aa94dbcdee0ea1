import { type Cidr, cidrContains, type IpAddress, parseCidr } from '../../kernel/ip-address.js';
import type { AddressClass } from './egress.js';

/**
 * What an address is, by its bytes. IPv6 is default-deny: only 2000::/3 minus its special blocks is public. IPv4
 * denies the IANA special list and 168.63.129.16. First match wins, so the metadata addresses stand first.
 */
const IPV4_CLASSES = ranges({
  metadata: [
    '169.254.169.254',
    '169.254.170.2', // ECS task credentials
    '169.254.170.23', // EKS pod credentials
    '168.63.129.16', // Azure WireServer
    '100.100.100.200', // Alibaba
    '192.0.0.192', // Oracle classic
  ],
  unspecified: ['0.0.0.0/8'],
  loopback: ['127.0.0.0/8'],
  link_local: ['169.254.0.0/16'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'],
  shared: ['100.64.0.0/10'],
  multicast: ['224.0.0.0/4'],
  reserved: [
    '192.0.0.0/24',
    '192.0.2.0/24',
    '192.31.196.0/24',
    '192.52.193.0/24',
    '192.88.99.0/24',
    '192.175.48.0/24',
    '198.18.0.0/15',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '240.0.0.0/4',
  ],
});

const IPV6_CLASSES = ranges({
  metadata: [
    'fd00:ec2::23', // EKS pod credentials
    'fd00:ec2::253', // Amazon DNS
    'fd00:ec2::254', // EC2
    'fd20:ce::254', // Google
    'fd00:c1::a9fe:a9fe', // Oracle
  ],
  unspecified: ['::'],
  loopback: ['::1'],
  embedded_ipv4: [
    '::/96',
    '::ffff:0:0/96',
    '::ffff:0:0:0/96', // SIIT, RFC 7915
    '64:ff9b::/96', // NAT64, RFC 6052
    '64:ff9b:1::/48',
    '2001::/32', // Teredo
    '2002::/16', // 6to4
  ],
  link_local: ['fe80::/10'],
  private: ['fc00::/7'],
  multicast: ['ff00::/8'],
  reserved: ['2001::/23', '2001:db8::/32', '2620:4f:8000::/48', '3fff::/20'],
  public: ['2000::/3'],
});

const NAT64 = parseCidr('64:ff9b::/96')!;

/** Classes that no list of the operator opens: contract README §9, and those nobody can dial with good reason. */
const CLOSED_FOR_GOOD: ReadonlySet<AddressClass> = new Set<AddressClass>([
  'metadata',
  'link_local',
  'multicast',
  'unspecified',
  'embedded_ipv4',
  'own_listener',
]);

export function classifyAddress(address: IpAddress): AddressClass {
  const classes = address.family === 4 ? IPV4_CLASSES : IPV6_CLASSES;
  for (const { range, addressClass } of classes) if (cidrContains(range, address)) return addressClass;
  return address.family === 4 ? 'public' : 'reserved';
}

export function isClosedForGood(addressClass: AddressClass): boolean {
  return CLOSED_FOR_GOOD.has(addressClass);
}

/** What is judged in place of an address in `64:ff9b::/96` where KNOX_EGRESS_NAT64 says so (ssrf cases S75). */
export function nat64Target(address: IpAddress): IpAddress | null {
  return cidrContains(NAT64, address) ? { family: 4, bytes: address.bytes.slice(12) } : null;
}

interface ClassifiedRange {
  readonly range: Cidr;
  readonly addressClass: AddressClass;
}

function ranges(table: Partial<Record<AddressClass, readonly string[]>>): readonly ClassifiedRange[] {
  return Object.entries(table).flatMap(([addressClass, cidrs]) =>
    cidrs.map((cidr) => ({ range: parseCidr(cidr)!, addressClass: addressClass as AddressClass })),
  );
}
