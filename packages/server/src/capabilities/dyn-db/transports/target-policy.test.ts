import { describe, expect, it } from 'vitest';
import { isAppError } from '../../../kernel/errors.js';
import { type IpAddress, parseIpAddress } from '../../../kernel/ip-address.js';
import { parseTargetList, type TargetEntry } from '../../../platform/egress/database-targets.js';
import { ownEndpointCheck } from '../../../platform/egress/own-endpoints.js';
import { parseDatabaseHost } from './database-host.js';
import { createTargetPolicy } from './target-policy.js';

const OWN = [
  { address: '127.0.0.1', port: 8787 },
  { address: '10.9.9.9', port: 5432 },
  { address: '::1', port: 6379 },
];

function policyOf({ allow = '*', deny = '', nat64 = false } = {}) {
  const isOwnEndpoint = ownEndpointCheck(OWN);
  return createTargetPolicy({ allow: listOf(allow), deny: listOf(deny), nat64, isOwnEndpoint });
}

function listOf(text: string): readonly TargetEntry[] {
  const list = parseTargetList(text);
  if (typeof list === 'string') throw new Error(list);
  return list;
}

/** Null where it passes, else reason and what the caller reads. */
function verdict(policy: ReturnType<typeof policyOf>, host: string, port: number, addresses: string[]) {
  const parsed = parseDatabaseHost(host);
  if (typeof parsed === 'string') throw new Error(parsed);
  try {
    policy.judge(
      parsed,
      port,
      addresses.map((text) => parseIpAddress(text) as IpAddress),
    );
    return null;
  } catch (error) {
    if (!isAppError(error, 'ssrf_blocked')) throw error;
    expect(error.publicMessage).not.toMatch(/\d+\.\d+/);
    return error.reason;
  }
}

describe('a host as it is written', () => {
  it.each([
    ['db.example.com', { kind: 'name', name: 'db.example.com' }],
    ['DB', { kind: 'name', name: 'db' }],
    ['my_db.svc.cluster.local', { kind: 'name', name: 'my_db.svc.cluster.local' }],
    ['localhost', { kind: 'name', name: 'localhost' }],
    ['10.1.2.3', { kind: 'address', address: parseIpAddress('10.1.2.3') }],
    ['::1', { kind: 'address', address: parseIpAddress('::1') }],
    ['[fd00::1]', { kind: 'address', address: parseIpAddress('fd00::1') }],
  ])('%s', (text, expected) => {
    expect(parseDatabaseHost(text)).toEqual(expected);
  });

  it.each([
    ['', /empty/],
    ['0x7f.1', /four decimal numbers/],
    ['127.1', /four decimal numbers/],
    ['2130706433', /four decimal numbers/],
    ['0x7f000001', /four decimal numbers/],
    ['0177.0.0.1', /four decimal numbers/],
    ['1.2.3.4.5', /four decimal numbers/],
    ['256.1.1.1', /four decimal numbers/],
    ['db.example.com.', /without the dot at its end/],
    ['127.0.0.1.', /without the dot at its end/],
    ['dätabase.example.com', /ASCII/],
    ['169。254。169。254', /ASCII/],
    ['db\u200b.example.com', /ASCII/],
    ['user:pw@db', /without a user/],
    ['db@169.254.169.254', /without a user/],
    ['db/postgres', /without path/],
    ['/var/run/postgresql', /socket file/],
    ['db?host=10.0.0.1', /without path or query/],
    ['db\\x', /without path/],
    ['mongodb+srv://db.example.com', /mongodb\+srv names are not looked up/],
    ['postgres://db', /without a scheme/],
    ['db:5432', /must hold no port/],
    ['[::1]:5432', /must hold no port/],
    ['10.1.2.3:5432', /must hold no port/],
    ['a,b', /one host/],
    ['fe80::1%eth0', /no zone/],
    ['%31%36%39.254.169.254', /no escapes/],
    ['a b', /no blanks/],
    ['db\n', /no blanks or control/],
    ['db\0.example.com', /no blanks or control/],
    ['a..b', /a host name or an IP address/],
    ['-', /a host name or an IP address/],
    ['[db]', /a host name or an IP address/],
    ['[10.0.0.1]', /a host name or an IP address/],
    ['1::2::3', /a host name or an IP address/],
    [`${'a'.repeat(64)}.example.com`, /a host name or an IP address/],
    [`${'a.'.repeat(150)}com`, /a host name or an IP address/],
  ])('%j is refused', (text, rule) => {
    expect(parseDatabaseHost(text)).toMatch(rule);
    expect(policyOf().problem({ host: text, port: 5432 })).toMatch(rule);
  });
});

describe('what is always refused', () => {
  const everything = policyOf({ allow: '*,169.254.0.0/16,fe80::/10,fd00::/8,0.0.0.0/0,::/0' });

  it.each([
    ['169.254.169.254', 'metadata'],
    ['169.254.170.2', 'metadata'],
    ['169.254.1.1', 'link_local'],
    ['168.63.129.16', 'metadata'],
    ['100.100.100.200', 'metadata'],
    ['192.0.0.192', 'metadata'],
    ['fd00:ec2::23', 'metadata'],
    ['fd00:ec2::253', 'metadata'],
    ['fd00:ec2::254', 'metadata'],
    ['fd20:ce::254', 'metadata'],
    ['fe80::1', 'link_local'],
    ['fe80::a9fe:a9fe', 'link_local'],
    ['::ffff:169.254.169.254', 'embedded_ipv4'],
    ['::169.254.169.254', 'embedded_ipv4'],
    ['::ffff:0:a9fe:a9fe', 'embedded_ipv4'],
    ['64:ff9b::a9fe:a9fe', 'embedded_ipv4'],
    ['2002:a9fe:a9fe::1', 'embedded_ipv4'],
    ['::ffff:10.9.9.9', 'embedded_ipv4'],
    ['0.0.0.0', 'unspecified'],
    ['::', 'unspecified'],
    ['224.0.0.1', 'multicast'],
    ['10.9.9.9', 'own_listener'],
    ['127.0.0.1', null],
    ['10.1.2.3', null],
  ])('%s: %s', (address, expected) => {
    expect(verdict(everything, 'db.example.com', 5432, [address])).toBe(expected);
    expect(everything.problem({ host: address, port: 5432 }) === null).toBe(expected === null);
  });

  it('is the platform itself by address and port, loopback in every form of it', () => {
    for (const [address, port] of [
      ['127.0.0.1', 8787],
      ['127.9.9.9', 8787],
      ['::1', 8787],
      ['127.0.0.1', 6379],
    ] as const) {
      expect(verdict(everything, 'db', port, [address])).toBe('own_listener');
      expect(everything.problem({ host: address, port })).toBe(
        'must not be this server, its database or its cache',
      );
    }
    expect(verdict(everything, 'db', 5433, ['127.0.0.1', '10.9.9.9'])).toBeNull();
  });

  it('is a metadata name, and a name of which one address is refused', () => {
    expect(everything.problem({ host: 'metadata.google.internal', port: 5432 })).toMatch(/metadata name/);
    expect(verdict(everything, 'db', 5432, ['10.1.2.3', 'fe80::1'])).toBe('link_local');
    expect(verdict(everything, 'db', 5432, Array(65).fill('10.1.2.3'))).toBe('too_many_addresses');
  });

  it('with NAT64 is what the address leads to', () => {
    const policy = policyOf({ nat64: true });
    expect(verdict(policy, 'db', 5432, ['64:ff9b::a9fe:a9fe'])).toBe('metadata');
    expect(verdict(policy, 'db', 5432, ['64:ff9b::a09:909'])).toBe('own_listener');
    expect(verdict(policy, 'db', 5432, ['64:ff9b::808:808'])).toBeNull();
  });
});

describe('the lists of the operator', () => {
  it('allow loopback and private addresses by default', () => {
    const policy = policyOf();
    for (const host of ['localhost', 'db', '127.0.0.1', '[::1]', '192.168.1.5', '8.8.8.8'])
      expect(policy.problem({ host, port: 5432 })).toBeNull();
    expect(verdict(policy, 'localhost', 5432, ['127.0.0.1', '::1'])).toBeNull();
  });

  it('let deny win', () => {
    const policy = policyOf({ allow: '*,db.example.com', deny: '*.example.com,10.0.0.0/8:5432' });
    expect(policy.problem({ host: 'db.example.com', port: 1 })).toMatch(/KNOX_DB_DENY_TARGETS/);
    expect(policy.problem({ host: '10.1.2.3', port: 5432 })).toMatch(/KNOX_DB_DENY_TARGETS/);
    expect(policy.problem({ host: '10.1.2.3', port: 5433 })).toBeNull();
    expect(verdict(policy, 'db.example.com', 1, [])).toBe('target_not_allowed');
    expect(verdict(policy, 'other', 5432, ['10.1.2.3'])).toBe('target_not_allowed');
    expect(verdict(policy, 'other', 5433, ['10.1.2.3'])).toBeNull();
  });

  it('judge a name where only its addresses can tell, at connect', () => {
    const policy = policyOf({ allow: 'public,10.0.0.0/8:5432,db.internal' });
    expect(policy.problem({ host: 'any.example.com', port: 9999 })).toBeNull();
    expect(verdict(policy, 'any.example.com', 5432, ['10.1.2.3'])).toBeNull();
    expect(verdict(policy, 'any.example.com', 5433, ['10.1.2.3'])).toBe('target_not_allowed');
    expect(verdict(policy, 'any.example.com', 5433, ['8.8.8.8'])).toBeNull();
    // A listed name leads wherever its owner, the operator, says.
    expect(verdict(policy, 'db.internal', 1, ['192.168.1.1'])).toBeNull();
    expect(policy.problem({ host: '192.168.1.1', port: 5432 })).toMatch(/KNOX_DB_ALLOW_TARGETS/);
  });

  it('refuse at write a name that no entry can let through', () => {
    const policy = policyOf({ allow: 'db.internal:5432' });
    expect(policy.problem({ host: 'db.internal', port: 5432 })).toBeNull();
    expect(policy.problem({ host: 'db.internal', port: 5433 })).toMatch(/KNOX_DB_ALLOW_TARGETS/);
    expect(policy.problem({ host: 'other.internal', port: 5432 })).toMatch(/KNOX_DB_ALLOW_TARGETS/);
    expect(verdict(policy, 'other.internal', 5432, ['8.8.8.8'])).toBe('target_not_allowed');
  });
});
