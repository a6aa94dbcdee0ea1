import net from 'node:net';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import {
  cidrContains,
  cidrWithin,
  formatIpAddress,
  ipAddressFromBytes,
  isLoopbackHost,
  parseCidr,
  parseIpAddress,
  unmapIpv4,
} from './ip-address.js';

const anyBytes = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  // Runs of zeros, where the text forms differ most.
  fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 }).map((b) => Uint8Array.from(b)),
);
const addressLikeText = fc.string({
  unit: fc.constantFrom('0', '1', '9', 'a', 'F', ':', '::', '.', '25', '256', '%', '/', ' '),
  maxLength: 20,
});

describe('parseIpAddress', () => {
  it('reads back what it prints, byte for byte, and as ipaddr.js reads it', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const text = formatIpAddress(ipAddressFromBytes(bytes));
        expect([...parseIpAddress(text)!.bytes]).toEqual([...bytes]);
        expect(ipaddr.parse(text).toByteArray()).toEqual([...bytes]);
      }),
      { numRuns: 2000, seed: 7 },
    );
  });

  it('reads every form that ipaddr.js prints', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const oracle = ipaddr.fromByteArray([...bytes]);
        for (const text of [oracle.toString(), oracle.toNormalizedString()]) {
          expect([...parseIpAddress(text)!.bytes]).toEqual([...bytes]);
        }
      }),
      { numRuns: 1000, seed: 8 },
    );
  });

  it('accepts exactly what node:net accepts, zones aside', () => {
    fc.assert(
      fc.property(addressLikeText, (text) => {
        fc.pre(!text.includes('%'));
        expect(parseIpAddress(text) !== null).toBe(net.isIP(text) !== 0);
      }),
      { numRuns: 20_000, seed: 9 },
    );
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '0x7f.0.0.1',
    '256.1.1.1',
    '1.2.3.4 ',
    '::1%lo',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8:9',
    '::12345',
    '::1.2.3',
    '1.2.3.4::',
    '[::1]',
  ])('refuses %j', (text) => {
    expect(parseIpAddress(text)).toBeNull();
  });
});

describe('ranges', () => {
  it.each([
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['172.16.0.0/12', '172.31.255.255', true],
    ['172.16.0.0/12', '172.32.0.0', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['10.0.0.0/8', '::ffff:10.0.0.1', false],
    ['::1', '::1', true],
    ['::1', '::2', false],
    ['fe80::/10', 'febf::1', true],
    ['fe80::/10', 'fec0::1', false],
  ])('%s contains %s: %s', (range, address, expected) => {
    expect(cidrContains(parseCidr(range)!, parseIpAddress(address)!)).toBe(expected);
  });

  it.each([
    '10.0.0.1/8',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    'x/8',
    '1::1/64',
  ])('refuses %s', (text) => {
    expect(parseCidr(text)).toBeNull();
  });

  it('knows a range within a range', () => {
    expect(cidrWithin(parseCidr('127.1.0.0/16')!, parseCidr('127.0.0.0/8')!)).toBe(true);
    expect(cidrWithin(parseCidr('126.0.0.0/7')!, parseCidr('127.0.0.0/8')!)).toBe(false);
  });
});

it.each([
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['::ffff:0:10.1.2.3', '::ffff:0:a01:203'],
  ['::10.1.2.3', '::a01:203'],
  ['10.1.2.3', '10.1.2.3'],
])('unmaps %s to %s', (from, to) => {
  expect(formatIpAddress(unmapIpv4(parseIpAddress(from)!))).toBe(to);
});

it.each([
  ['localhost', true],
  ['127.0.0.1', true],
  ['127.8.8.8', true],
  ['[::1]', true],
  ['::1', true],
  ['', false],
  ['localhost.example.com', false],
  ['128.0.0.1', false],
  ['[::2]', false],
  ['[::ffff:7f00:1]', false],
])('says whether the host %s is loopback: %s', (host, expected) => {
  expect(isLoopbackHost(host)).toBe(expected);
});
