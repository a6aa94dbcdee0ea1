import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { formatIpAddress, ipAddressFromBytes, parseIpAddress } from '../../kernel/ip-address.js';
import { classifyAddress, isClosedForGood, nat64Target } from './address-policy.js';

/** The rule of the case file, written a second time as text and judged by another library. */
const IPV4_DENIED =
  '0/8 10/8 100.64/10 127/8 169.254/16 172.16/12 192.0.0/24 192.0.2/24 192.31.196/24 192.52.193/24 192.88.99/24 192.168/16 192.175.48/24 198.18/15 198.51.100/24 203.0.113/24 224/4 240/4 168.63.129.16/32'
    .split(' ')
    .map((short) => {
      const [address = '', prefix] = short.split('/');
      const parts = address.split('.');
      return ipaddr.parseCIDR(`${[...parts, ...Array(4 - parts.length).fill('0')].join('.')}/${prefix}`);
    });
const IPV6_ALLOWED = ipaddr.parseCIDR('2000::/3');
const IPV6_DENIED = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20', '2620:4f:8000::/48'].map(
  (range) => ipaddr.parseCIDR(range),
);

function isPublicByOracle(bytes: Uint8Array): boolean {
  const address = ipaddr.fromByteArray([...bytes]);
  if (address instanceof ipaddr.IPv4)
    return !IPV4_DENIED.some((range) => address.match(range as [ipaddr.IPv4, number]));
  return (
    address.match(IPV6_ALLOWED as [ipaddr.IPv6, number]) &&
    !IPV6_DENIED.some((range) => address.match(range as [ipaddr.IPv6, number]))
  );
}

/** Addresses at and around the edges of every range, where a wrong mask shows. */
const edges = [...IPV4_DENIED, IPV6_ALLOWED, ...IPV6_DENIED].flatMap(([range, prefix]) => {
  const bytes = range.toByteArray();
  const width = BigInt(bytes.length * 8);
  const first = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const last = first | ((1n << (width - BigInt(prefix))) - 1n);
  return [first - 1n, first, first + 1n, last - 1n, last, last + 1n]
    .filter((value) => value >= 0n && value < 1n << width)
    .map((value) =>
      Uint8Array.from(bytes, (_, i) => Number((value >> BigInt((bytes.length - 1 - i) * 8)) & 0xffn)),
    );
});

describe('classifyAddress', () => {
  it('agrees with the oracle at the edges of every range', () => {
    expect(edges.length).toBeGreaterThan(100);
    for (const bytes of edges) {
      const address = ipAddressFromBytes(bytes);
      const isPublic = classifyAddress(address) === 'public';
      expect([formatIpAddress(address), isPublic]).toEqual([
        formatIpAddress(address),
        isPublicByOracle(bytes),
      ]);
    }
  });

  it('agrees with the oracle on any IPv4 and on IPv6 around the public block', () => {
    const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
    const nearPublic = fc
      .tuple(
        fc.constantFrom(0x20, 0x26, 0x2a, 0x3f, 0x1f, 0x40, 0xfc, 0xfe, 0xff, 0x00),
        fc.constantFrom(0x00, 0x01, 0x02, 0x20, 0xff, 0x80),
        fc.constantFrom(0x00, 0x0d, 0x01, 0x4f, 0x0f, 0x10),
        fc.constantFrom(0x00, 0xb8, 0x4f, 0x10, 0x20),
        fc.uint8Array({ minLength: 12, maxLength: 12 }),
      )
      .map(([a, b, c, d, rest]) => Uint8Array.from([a, b, c, d, ...rest]));
    fc.assert(
      fc.property(fc.oneof(ipv4, nearPublic, fc.uint8Array({ minLength: 16, maxLength: 16 })), (bytes) => {
        expect(classifyAddress(ipAddressFromBytes(bytes)) === 'public').toBe(isPublicByOracle(bytes));
      }),
      { numRuns: 20_000, seed: 11 },
    );
  });

  it.each([
    ['127.0.0.1', 'loopback'],
    ['10.1.1.1', 'private'],
    ['fd12::1', 'private'],
    ['169.254.1.1', 'link_local'],
    ['fe90::1', 'link_local'],
    ['febf:ffff::1', 'link_local'],
    ['169.254.169.254', 'metadata'],
    ['169.254.170.2', 'metadata'],
    ['169.254.170.23', 'metadata'],
    ['168.63.129.16', 'metadata'],
    ['100.100.100.200', 'metadata'],
    ['192.0.0.192', 'metadata'],
    ['fd00:ec2::23', 'metadata'],
    ['fd00:ec2::253', 'metadata'],
    ['fd00:ec2::254', 'metadata'],
    ['fd20:ce::254', 'metadata'],
    ['fd00:c1::a9fe:a9fe', 'metadata'],
    ['100.64.0.1', 'shared'],
    ['224.0.0.1', 'multicast'],
    ['240.0.0.1', 'reserved'],
    ['0.0.0.0', 'unspecified'],
    ['::', 'unspecified'],
    ['::1', 'loopback'],
    ['::8.8.8.8', 'embedded_ipv4'],
    ['::ffff:8.8.8.8', 'embedded_ipv4'],
    ['::ffff:0:8.8.8.8', 'embedded_ipv4'],
    ['64:ff9b::8.8.8.8', 'embedded_ipv4'],
    ['64:ff9b:1:ffff::8.8.8.8', 'embedded_ipv4'],
    ['2002:808:808::', 'embedded_ipv4'],
    ['2001:0:4136:e378::', 'embedded_ipv4'],
    ['8.8.8.8', 'public'],
  ])('%s is %s', (text, addressClass) => {
    expect(classifyAddress(parseIpAddress(text)!)).toBe(addressClass);
  });

  it('no list opens what embeds an IPv4 address, metadata, link-local, multicast', () => {
    for (const text of [
      '::ffff:10.0.0.1',
      '64:ff9b::a00:1',
      '169.254.0.1',
      'fe80::1',
      'ff02::1',
      '168.63.129.16',
      '::',
    ]) {
      expect(isClosedForGood(classifyAddress(parseIpAddress(text)!))).toBe(true);
    }
    for (const text of ['10.0.0.1', 'fd12::1', '127.0.0.1', '100.64.0.1', '198.18.0.1']) {
      expect(isClosedForGood(classifyAddress(parseIpAddress(text)!))).toBe(false);
    }
  });
});

it('nat64Target takes the last four bytes of 64:ff9b::/96 and nothing else', () => {
  expect([...nat64Target(parseIpAddress('64:ff9b::8.8.4.4')!)!.bytes]).toEqual([8, 8, 4, 4]);
  for (const text of ['64:ff9b:1::8.8.4.4', '64:ff9b::1:8.8.4.4', '::ffff:8.8.4.4', '8.8.4.4']) {
    expect(nat64Target(parseIpAddress(text)!)).toBeNull();
  }
});
