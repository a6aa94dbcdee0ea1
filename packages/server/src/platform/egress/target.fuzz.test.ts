import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppError } from '../../kernel/errors.js';
import { formatIpAddress, ipAddressFromBytes, parseIpAddress } from '../../kernel/ip-address.js';
import { type EgressRig, startEgressRig } from '../../testing/egress-rig.js';
import { fuzz } from '../../testing/fuzz.js';
import { classifyAddress } from './address-policy.js';
import { createHostList, judgeName } from './name-policy.js';
import { parseTargetUrl } from './target-url.js';

const RULES = { ownNames: [], isOpened: () => false };
const INTERNAL =
  /(^|\.)(localhost|internal|local|home\.arpa|svc|cluster\.local|onion|test|invalid|metadata\.goog)$/;

const label = fc.oneof(
  fc.constantFrom(
    'example',
    'com',
    'a',
    'xn--bcher-kva',
    'b_c',
    '-',
    'localhost',
    'internal',
    'metadata',
    'goog',
    'home',
    'arpa',
  ),
  fc.constantFrom(
    '127',
    '0x7f',
    '017',
    '1',
    '0',
    '256',
    '2130706433',
    '0x7f000001',
    '１２７',
    '①',
    'ｅxample',
    'ß',
  ),
  fc.constantFrom('', '%31', '%2e', 'x'.repeat(64), 'test', 'local', 'svc', '0x', '0xg', '1e3', '*'),
  fc.domain(),
  fc.string({ unit: 'binary', maxLength: 4 }),
);
const host = fc.oneof(
  fc
    .array(label, { minLength: 1, maxLength: 5 })
    .chain((labels) => fc.constantFrom('.', '。', '．', '%2e').map((dot) => labels.join(dot))),
  fc.ipV4(),
  fc.ipV4Extended(),
  fc.ipV6().map((address) => `[${address}]`),
  fc.ipV4().map((address) => `[::ffff:${address}]`),
);
const anyUrl = fc
  .tuple(
    fc.constantFrom(
      'https:',
      'https:',
      'HTTPS:',
      'http:',
      'ftp:',
      'file:',
      ' https:',
      'https',
      'javascript:',
      '',
    ),
    fc.constantFrom('//', '//', '/', '\\\\', '', '///', '/\\'),
    fc.constantFrom('', '', '', 'u@', 'u:p@', '@', ':@', '%40', 'a@b@'),
    host,
    fc.constantFrom('', '', '.', '..', ':443', ':8443', ':0', ':65536', ':', ':x', '\t', '\n'),
    fc.constantFrom(
      '',
      '/',
      '/p?q=1',
      '?q',
      '#f',
      '/a@b',
      '\\@evil.com',
      '/../..',
      '#@x',
      '/%00',
      ', https://b.com',
    ),
  )
  .map((parts) => parts.join(''));

function whatwg(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

function judged(raw: string): URL | null {
  try {
    const url = parseTargetUrl(raw);
    return judgeName(url.hostname, RULES) === null ? url : null;
  } catch (error) {
    if (error instanceof AppError && error.type === 'invalid_proxy_url') return null;
    throw error;
  }
}

test('what passes is https to a public DNS name, and leads where every other reader of the URL goes', () => {
  let passed = 0;
  fc.assert(
    fc.property(fc.oneof(anyUrl, fc.webUrl(), fc.string({ unit: 'binary' })), (raw) => {
      const url = judged(raw);
      if (url === null) return;
      passed += 1;
      const oracle = whatwg(raw);
      expect(oracle).not.toBeNull();
      expect(url.protocol).toBe('https:');
      expect(url.username + url.password + url.hash).toBe('');
      expect(url.hostname).toBe(oracle!.hostname.replace(/\.$/, ''));
      expect([url.port, url.pathname, url.search]).toEqual([oracle!.port, oracle!.pathname, oracle!.search]);
      expect(new URL(url.href).href).toBe(url.href);
      expect(ipaddr.isValid(url.hostname)).toBe(false);
      expect(url.hostname.length).toBeLessThanOrEqual(253);
      expect(url.hostname).toMatch(/^([a-z0-9_-]{1,63}\.)+[a-z0-9_-]{1,63}$/);
      expect(url.hostname).not.toMatch(INTERNAL);
      expect(/[\s\u0000-\u001f]/.test(raw)).toBe(false);
    }),
    fuzz(5000),
  );
  expect(passed).toBeGreaterThan(100);
});

test('a plain https URL of a public name is never refused', () => {
  const name = fc.domain().filter((domain) => !INTERNAL.test(domain.toLowerCase()));
  const path = fc.webPath();
  fc.assert(
    fc.property(name, path, fc.constantFrom('', ':443', ':8443'), (domain, tail, port) => {
      const raw = `https://${domain}${port}${tail}`;
      expect(judged(raw)?.href).toBe(new URL(raw).href);
    }),
    fuzz(1000),
  );
});

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const withHead = (...heads: number[][]) =>
  fc
    .tuple(fc.constantFrom(...heads), bytesOf(16))
    .map(([head, rest]) => Uint8Array.from([...head, ...rest].slice(0, 16)));
const address = fc.oneof(
  bytesOf(4),
  fc
    .tuple(
      fc.constantFrom(10, 100, 127, 169, 172, 192, 198, 203, 224),
      fc.constantFrom(0, 2, 16, 18, 19, 31, 51, 64, 127, 168, 254),
      fc.nat(255),
      fc.nat(255),
    )
    .map((b) => Uint8Array.from(b)),
  withHead(
    [0x20, 0x01],
    [0x20, 0x02],
    [0x26, 0x06],
    [0x2a],
    [0xfc],
    [0xfe, 0x80],
    [0xff],
    [0, 0x64, 0xff, 0x9b],
    [0x20, 0x01, 0x0d, 0xb8],
    Array(10).fill(0),
  ),
);

test('an address judged public is one that ipaddr.js calls unicast, in every spelling', () => {
  let passed = 0;
  fc.assert(
    fc.property(address, (bytes) => {
      const parsed = ipAddressFromBytes(bytes);
      const oracle = ipaddr.fromByteArray([...bytes]);
      for (const text of [formatIpAddress(parsed), oracle.toString(), oracle.toNormalizedString()]) {
        expect(classifyAddress(parseIpAddress(text)!)).toBe(classifyAddress(parsed));
      }
      if (classifyAddress(parsed) !== 'public') return;
      passed += 1;
      expect([formatIpAddress(parsed), oracle.range()]).toEqual([formatIpAddress(parsed), 'unicast']);
    }),
    fuzz(5000),
  );
  expect(passed).toBeGreaterThan(100);
});

let rig: EgressRig;
beforeAll(async () => {
  rig = await startEgressRig();
});
afterAll(() => rig.close());

test('a name passes only when every one of its addresses is public', async () => {
  let count = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(address, { minLength: 1, maxLength: 4 }), async (all) => {
      const name = `n${count++}.example.com`;
      const texts = all.map((bytes) => formatIpAddress(ipAddressFromBytes(bytes)));
      rig.dns.set(name, texts);
      const policy = { tenantSlug: 'acme', allowedHosts: createHostList([]) };
      const clock = rig.egress.startClock(25_000, { isGone: false, onGone: () => {} });
      const isPassed = await Promise.resolve()
        .then(() => rig.egress.judge(rig.egress.parse(`https://${name}/`, policy), policy, clock))
        .then(
          () => true,
          (error: unknown) => {
            expect(error).toMatchObject({ type: 'ssrf_blocked' });
            return false;
          },
        );
      clock.stop();
      expect([texts, isPassed]).toEqual([
        texts,
        all.every((bytes) => classifyAddress(ipAddressFromBytes(bytes)) === 'public'),
      ]);
    }),
    fuzz(100),
  );
});
