import { expect, it } from 'vitest';
import { ipNotAllowed } from './errors.js';
import { IpAllowlist, ipAllowed } from './ip-allowlist.js';

it.each([
  [['192.0.2.1'], '192.0.2.1', true],
  [['192.0.2.1'], '192.0.2.2', false],
  [['192.0.2.0/24', '198.51.100.7'], '198.51.100.7', true],
  [['192.0.2.0/24'], '::ffff:192.0.2.9', true],
  [['192.0.2.0/24'], '::ffff:192.0.3.9', false],
  [['::ffff:192.0.2.0/120'], '192.0.2.9', true],
  [['::ffff:192.0.2.0/120'], '::ffff:192.0.2.9', true],
  [['::ffff:192.0.2.1'], '192.0.2.1', true],
  [['2001:db8::/32'], '2001:db8:1::1', true],
  [['2001:db8::/32'], '2001:db9::1', false],
  [['::/0'], '192.0.2.1', false],
  [['0.0.0.0/0'], '2001:db8::1', false],
  [['not an address'], '192.0.2.1', false],
  [['192.0.2.0/24'], null, false],
  [['192.0.2.0/24'], 'unknown', false],
  [[], '192.0.2.1', true],
  [[], null, true],
])('%j covers %s: %s', (entries, ip, expected) => {
  expect(new IpAllowlist(entries).covers(ip)).toBe(expected);
  for (let i = 0; i < 2; i++) expect(ipAllowed(entries, ip)).toBe(expected);
});

it('who is not covered is told nothing of the list', () => {
  expect(ipNotAllowed('192.0.2.1')).toMatchObject({
    type: 'ip_not_allowed',
    status: 403,
    extra: { ip: '192.0.2.1' },
  });
  expect(ipNotAllowed('192.0.2.1').publicMessage).not.toMatch(/\d/);
});
