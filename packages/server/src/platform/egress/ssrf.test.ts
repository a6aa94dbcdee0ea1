import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../kernel/errors.js';
import { parseIpAddress } from '../../kernel/ip-address.js';
import type { DnsAnswers } from '../../testing/dns-server.js';
import {
  clientOf,
  type EgressRig,
  type EgressRigOptions,
  type RecordingDialer,
  recordingDialer,
  startEgressRig,
  turns,
  until,
  verdictOf,
} from '../../testing/egress-rig.js';
import { createHostList } from './name-policy.js';
import { parsePrivateUpstreams, privateUpstreamsProblem } from './private-upstreams.js';

/** The cases of the egress guard by their numbers; nothing here leaves the process but questions to the test's DNS. */
const PUBLIC = '93.184.215.14';
let rigs: EgressRig[] = [];
let rig: EgressRig;
let dialer: RecordingDialer;

async function start(options: EgressRigOptions = {}): Promise<void> {
  dialer = recordingDialer();
  rig = await startEgressRig({ dialer: dialer.dial, ...options });
  rigs.push(rig);
}

beforeEach(() => start({ records: { 'api.example.com': [PUBLIC], 'foo_bar.example.com': [PUBLIC] } }));
afterEach(async () => {
  await Promise.all(rigs.map((started) => started.close()));
  rigs = [];
});

const verdict = (url: string, options: Parameters<EgressRig['send']>[1] = {}) =>
  verdictOf(rig.send(url, options), dialer);

async function resolved(answers: DnsAnswers | readonly string[], port = 443): Promise<string> {
  rig.dns.set('target.example.com', answers);
  return verdict(`https://target.example.com:${port}/`);
}

describe('refused before DNS', () => {
  it.each([
    ['S01', 'http://api.example.com/'],
    ['S03', 'ftp://api.example.com/'],
    ['S03', 'gopher://127.0.0.1:6379/_x'],
    ['S03', 'file:///etc/passwd'],
    ['S03', 'data:text/plain,x'],
    ['S03', 'ws://api.example.com/'],
    ['S03', 'wss://api.example.com/'],
    ['S03', 'unix:/var/run/docker.sock'],
    ['S03', 'javascript:alert(1)'],
    ['S05', 'https://api.example.com/, https://api.example.com/'],
    ['S07', 'https:169.254.169.254'],
    ['S07', 'https:///169.254.169.254/'],
    ['S07', 'https:\\\\169.254.169.254\\'],
    ['S09', 'https://8.8.8.8/'],
    ['S11', 'https://017700000001/'],
    ['S11', 'https://0177.0.0.1/'],
    ['S13', 'https://127.1/'],
    ['S13', 'https://127.0.1/'],
    ['S15', 'https://2852039166/'],
    ['S15', 'https://0xA9FEA9FE/'],
    ['S15', 'https://0251.0376.0251.0376/'],
    ['S15', 'https://169.16689662/'],
    ['S15', 'https://0251.254.169.254/'],
    ['S17', 'https://%31%36%39.254.169.254/'],
    ['S19', 'https://127.0\u200b.0.1/'],
    ['S19', 'https://127.0.0\u00ad.1/'],
    ['S19', 'https://１２７.0.0.1/'],
    ['S21', 'https://localhost/'],
    ['S21', 'https://LOCALHOST./'],
    ['S21', 'https://x.localhost/'],
    ['S25', 'https://printer.local/'],
    ['S25', 'https://vault.internal/'],
    ['S25', 'https://nas.home.arpa/'],
    ['S25', 'https://pay.default.svc/'],
    ['S25', 'https://pay.default.svc.cluster.local/'],
    ['S25', 'https://abc.onion/'],
    ['S25', 'https://abc.test/'],
    ['S25', 'https://abc.invalid/'],
    ['S25', 'https://ABC.Internal./'],
    ['S25', 'https://metadata.google.internal/'],
    ['S27', 'https://./'],
    ['S27', 'https://../'],
    ['S27', 'https://-/'],
    ['S27', 'https://a..b/'],
    ['S27', 'https://a.-.example.com/'],
    ['S27', `https://${'a'.repeat(64)}.example.com/`],
    ['S27', `https://${'abcdefg.'.repeat(32)}example.com/`],
    ['S27', 'https://.example.com/'],
    ['S27', 'https://api.example.com../'],
    ['S27', 'https://a!b.example.com/'],
    ['S33', 'https://256.256.256.256/'],
    ['S33', 'https://1.2.3.4.5/'],
    ['S33', 'https://4294967296/'],
    ['S33', 'https://09.1.1.1/'],
    ['S33', 'https://1.1.1.0x100/'],
    ['S35', 'https://api.example.com@169.254.169.254/'],
    ['S35', 'https://api.example.com:80@169.254.169.254/'],
    ['S35', 'https://user@api.example.com/'],
    ['S35', 'https://@api.example.com/'],
    ['S35', 'https://:@api.example.com/'],
    ['S39', 'https://127.0.0.1%2f@api.example.com/'],
    ['S41', 'https://exa\nmple.com/'],
    ['S41', 'https://exa\tmple.com/'],
    ['S41', '\u0000https://api.example.com/'],
    ['S41', ' https://api.example.com/'],
    ['S41', 'https://api.example.com/\r\nX-Evil: 1'],
    ['S41', 'https://api.example.com/\u0085'],
    ...[0, 1, 22, 25, 80, 1023, 2375, 2525, 3306, 5432, 6379, 9200, 10250, 11211, 27017].map((port) => [
      'S43',
      `https://api.example.com:${port}/`,
    ]),
    ['S43', 'https://api.example.com:65536/'],
    ['S45', 'https://[::1]/'],
    ['S45', 'https://[::]/'],
    ['S45', 'https://[2001:4860:4860::8888]/'],
    ['S47', 'https://[::127.0.0.1]/'],
    ['S49', `https://api.example.com/${'a'.repeat(8192)}`],
    ['S125', 'https://payments/'],
    ['-', ''],
    ['-', 'api.example.com'],
    ['-', '//api.example.com/'],
    ['-', 'https://'],
  ])('%s %.60s', async (_number, url) => {
    expect(await verdict(url as string)).toBe('invalid_proxy_url');
    expect(rig.dns.queries).toEqual([]);
    expect(dialer.dialled).toEqual([]);
  });

  it('a name of our own, below it and with a dot', async () => {
    await start({ ownNames: ['Knox.example.com'] });
    for (const host of ['knox.example.com', 'api.knox.example.com', 'API.KNOX.example.com.']) {
      expect(await verdict(`https://${host}/`)).toBe('invalid_proxy_url');
    }
    rig.dns.set('notknox.example.com', [PUBLIC]);
    expect(await verdict('https://notknox.example.com/')).toBe('PASS');
  });
});

describe('the name is the only thing that leads anywhere', () => {
  it('S21 localhost.localdomain is left to the address rule', async () => {
    rig.dns.set('localhost.localdomain', ['127.0.0.1']);
    expect(await verdict('https://localhost.localdomain/')).toBe('ssrf_blocked');
  });

  it('S23 the dot of the root changes neither policy, pool, SNI nor the question asked', async () => {
    expect(await verdict('https://api.example.com./', { allowedHosts: ['api.example.com'] })).toBe('PASS');
    expect(await verdict('https://api.example.com/', { allowedHosts: ['api.example.com.'] })).toBe('PASS');
    expect(dialer.dialled.map(({ servername }) => servername)).toEqual([
      'api.example.com',
      'api.example.com',
    ]);
    expect(new Set(rig.dns.queries.map(({ name }) => name))).toEqual(new Set(['api.example.com']));
  });

  it('S29 an underscore passes', async () => {
    expect(await verdict('https://foo_bar.example.com/')).toBe('PASS');
  });

  it('S31 a homoglyph of an allowed host', async () => {
    expect(await verdict('https://\u0430pi.example.com/', { allowedHosts: ['api.example.com'] })).toBe(
      'egress_blocked',
    );
    expect(rig.dns.queries).toEqual([]);
  });

  it('S37 a backslash is a slash, and the re-serialised URL goes on', async () => {
    const url = rig.egress.parse('https://api.example.com\\@169.254.169.254/', {
      tenantSlug: 'acme',
      allowedHosts: createHostList([]),
    });
    expect(url.href).toBe('https://api.example.com/@169.254.169.254/');
    expect(await verdict('https://api.example.com\\@169.254.169.254/')).toBe('PASS');
    expect(dialer.dialled).toEqual([{ address: PUBLIC, port: 443, servername: 'api.example.com' }]);
  });

  it('drops the fragment', () => {
    const url = rig.egress.parse('https://api.example.com/p?q=1#frag', {
      tenantSlug: 'acme',
      allowedHosts: createHostList([]),
    });
    expect(url.href).toBe('https://api.example.com/p?q=1');
  });

  it('an IDN goes as its A-label', async () => {
    rig.dns.set('xn--bcher-kva.example.com', [PUBLIC]);
    expect(await verdict('https://B\u00fccher.example.com/')).toBe('PASS');
    expect(dialer.dialled[0]?.servername).toBe('xn--bcher-kva.example.com');
  });

  it.each([
    ['api.example.com', ['api.example.com'], 'PASS'],
    ['api.example.com', ['*.example.com'], 'PASS'],
    ['example.com', ['*.example.com'], 'egress_blocked'],
    ['badexample.com', ['*.example.com', 'example.com'], 'egress_blocked'],
    ['api.example.com', ['API.EXAMPLE.COM'], 'PASS'],
    ['a.b.example.com', ['*.example.com.'], 'PASS'],
    ['a.b.example.com', ['*.b.example.co', '*.a.b.example.com', '*.ample.com'], 'egress_blocked'],
    ['api.example.com', ['other.example.com'], 'egress_blocked'],
  ])('allowlist: %s under %j: %s', async (host, allowedHosts, expected) => {
    for (const name of ['example.com', 'badexample.com', 'a.b.example.com']) rig.dns.set(name, [PUBLIC]);
    expect(await verdict(`https://${host}/`, { allowedHosts })).toBe(expected);
  });

  it('judges again a URL that was changed after parse', async () => {
    const policy = { tenantSlug: 'acme', allowedHosts: createHostList(['api.example.com']) };
    const url = rig.egress.parse('https://api.example.com/', policy);
    url.hostname = 'other.example.com';
    const clock = rig.egress.startClock(1000, clientOf());
    const judged = async () => rig.egress.judge(url, policy, clock);
    await expect(judged()).rejects.toMatchObject({ type: 'egress_blocked' });
    clock.stop();
  });

  it('dials nothing that was not judged', async () => {
    const clock = rig.egress.startClock(1000, clientOf());
    const forged = {
      url: new URL('https://10.0.0.1/'),
      hostname: '10.0.0.1',
      port: 443,
      policyKey: 'acme',
      addresses: ['10.0.0.1'],
      addressClass: 'public' as const,
    };
    const call = { method: 'GET', path: '/', headers: [], body: null, clock, idleTimeoutMs: 1000 };
    await expect(
      rig.egress.stream(forged, call, () => {
        throw new Error('no head');
      }),
    ).rejects.toThrow('judged');
    expect(dialer.dialled).toEqual([]);
    clock.stop();
  });
});

describe('the class of what was let through', () => {
  it.each([
    ['public', ['8.8.8.8', '2606:2800:220:1::1']],
    ['private', ['8.8.8.8', '10.1.2.3']],
    ['loopback', ['127.0.0.1']],
  ] as const)('%s', async (addressClass, addresses) => {
    const records = { 'host.example.com': [...addresses] };
    const open = await startEgressRig({ allowPrivateUpstreams: '10.0.0.0/8,127.0.0.0/8', records });
    const policy = { tenantSlug: 'acme', allowedHosts: createHostList([]) };
    const clock = open.egress.startClock(1000, { isGone: false, onGone: () => {} });
    const url = open.egress.parse('https://host.example.com/', policy);
    expect(await open.egress.judge(url, policy, clock)).toMatchObject({ addressClass });
    clock.stop();
    await open.close();
  });
});

describe('refused by address', () => {
  it.each([
    ['S51', '127.0.0.1'],
    ['S51', '127.255.255.254'],
    ['S53', '0.0.0.0'],
    ['S53', '0.1.2.3'],
    ['-', '10.0.0.1'],
    ['-', '172.16.0.0'],
    ['-', '172.31.255.255'],
    ['-', '192.168.1.1'],
    ['-', '169.254.169.254'],
    ['S59', '169.254.170.2'],
    ['S59', '169.254.170.23'],
    ['S61', '100.100.100.200'],
    ['S63', '168.63.129.16'],
    ['S65', '198.18.0.1'],
    ['S65', '198.19.255.255'],
    ['S67', '224.0.0.1'],
    ['S67', '239.255.255.250'],
    ['-', '240.0.0.1'],
    ['-', '255.255.255.255'],
    ['-', '100.64.0.1'],
    ['-', '192.0.0.1'],
    ['-', '192.0.2.1'],
    ['-', '192.31.196.1'],
    ['-', '192.52.193.1'],
    ['-', '192.88.99.1'],
    ['-', '192.175.48.1'],
    ['-', '198.51.100.1'],
    ['-', '203.0.113.1'],
    ['S69', '::1'],
    ['S69', '::'],
    ['S71', '::ffff:8.8.8.8'],
    ['S71', '::ffff:127.0.0.1'],
    ['S73', '::ffff:0:7f00:1'],
    ['S75', '64:ff9b::808:808'],
    ['S75', '64:ff9b:1::808:808'],
    ['S77', '2002:7f00:1::'],
    ['S77', '2002:808:808::1'],
    ['S79', '2001:2::1'],
    ['S79', '2001:10::1'],
    ['S79', '2001:20::1'],
    ['S79', '2001::1'],
    ['S81', '100::1'],
    ['S81', '100:0:0:1::1'],
    ['S83', 'fd00:ec2::254'],
    ['S83', 'fd00:ec2::23'],
    ['S83', 'fd00:ec2::253'],
    ['S85', 'fe80::1'],
    ['S85', 'fe80::a9fe:a9fe'],
    ['S87', 'ff02::1'],
    ['S89', '64:ff9c::1'],
    ['-', 'fc00::1'],
    ['-', 'fec0::1'],
    ['-', '5f00::1'],
    ['-', '2001:db8::1'],
    ['-', '3fff::1'],
    ['-', '2620:4f:8000::1'],
    ['-', '4000::1'],
  ])('%s %s', async (_number, address) => {
    expect(await resolved([address])).toBe('ssrf_blocked');
    expect(dialer.dialled).toEqual([]);
  });

  it.each([
    ['S55', '172.15.255.255'],
    ['S55', '172.32.0.0'],
    ['S55', '11.0.0.0'],
    ['S55', '192.169.0.0'],
    ['S57', '100.63.255.254'],
    ['S57', '100.128.0.1'],
    ['S65', '198.17.255.255'],
    ['S65', '198.20.0.0'],
    ['S89', '2001:4860:4860::8888'],
    ['S89', '2606:4700:4700::1111'],
    ['-', '168.63.129.15'],
    ['-', '223.255.255.255'],
    ['-', '2001:200::1'],
  ])('%s %s passes, dialled as it is', async (_number, address) => {
    expect(await resolved([address], 8443)).toBe('PASS');
    expect(dialer.dialled).toEqual([{ address, port: 8443, servername: 'target.example.com' }]);
  });

  it('S91, S99 one bad address among good ones of either family', async () => {
    expect(await resolved({ a: [PUBLIC], aaaa: ['fd12::1'] })).toBe('ssrf_blocked');
    rig.clock.advance(61_000);
    expect(await resolved({ a: [PUBLIC, '8.8.8.8', '10.0.0.1'] })).toBe('ssrf_blocked');
    expect(dialer.dialled).toEqual([]);
  });

  it('S93 the list of names is for the asked name; a CNAME is judged by its address', async () => {
    rig.dns.set('metadata.google.internal', [PUBLIC]);
    expect(await resolved({ cname: 'metadata.google.internal' })).toBe('PASS');
    rig.clock.advance(61_000);
    rig.dns.set('metadata.google.internal', ['169.254.169.254']);
    expect(await resolved({ cname: 'metadata.google.internal' })).toBe('ssrf_blocked');
  });

  it('S95 64 addresses are judged, 65 refused', async () => {
    const addresses = (count: number) =>
      Array.from({ length: count }, (_, i) => `93.184.${i >> 8}.${i & 255}`);
    expect(await resolved(addresses(64))).toBe('PASS');
    rig.clock.advance(61_000);
    expect(await resolved(addresses(65))).toBe('ssrf_blocked');
    rig.clock.advance(61_000);
    expect(await resolved(addresses(230))).toBe('ssrf_blocked');
  });

  it('S101 our own listener, by address and port; a wildcard listener on every address of this machine', async () => {
    rig.egress.setOwnEndpoints([{ address: PUBLIC, port: 8787 }]);
    expect(await resolved([PUBLIC], 8787)).toBe('ssrf_blocked');
    expect(await resolved([PUBLIC], 8788)).toBe('PASS');
    const isOwn = (port: number) => rig.egress.isOwnEndpoint(parseIpAddress(PUBLIC)!, port);
    expect([isOwn(8787), isOwn(8788)]).toEqual([true, false]);
  });

  it('S119 no refusal tells an address', async () => {
    for (const address of ['10.77.66.55', '169.254.169.254', 'fd00:ec2::254']) {
      rig.dns.set('leak.example.com', [address]);
      rig.clock.advance(61_000);
      const error = await rig
        .send('https://leak.example.com/')
        .catch((reason: unknown) => reason as AppError);
      expect(error).toBeInstanceOf(AppError);
      expect((error as AppError).message).not.toContain(address);
      expect((error as AppError).publicMessage).toMatch(/^The host resolves to a [a-z ]+ address$/);
      expect((error as AppError).detail).toContain(address);
    }
    rig.dns.set('leak.example.com', [PUBLIC]);
    rig.clock.advance(61_000);
    const error = (await rig
      .send('https://leak.example.com/')
      .catch((reason: unknown) => reason)) as AppError;
    expect(error.type).toBe('upstream_unreachable');
    expect(error.publicMessage).not.toMatch(/\d/);
    expect(error.detail).toContain(PUBLIC);
  });
});

describe('resolution', () => {
  it('S123 asks the configured servers for the name as it stands, no hosts file, no search list', async () => {
    expect(await verdict('https://unknown.example.com/')).toBe('dns_failure');
    expect(await verdict('https://localhost4.localdomain4/')).toBe('dns_failure');
    expect(new Set(rig.dns.queries.map(({ name }) => name))).toEqual(
      new Set(['unknown.example.com', 'localhost4.localdomain4']),
    );
  });

  it('S127 silent names of one tenant end after two tries of 2 s and delay no other', async () => {
    const silent = Array.from({ length: 100 }, (_, i) => `silent${i}.example.com`);
    for (const name of silent) rig.dns.set(name, { silent: true });
    const mine = silent.map((name) => verdict(`https://${name}/`, { tenantSlug: 'acme' }));
    await until(() => rig.dns.queries.length >= 128);
    await turns();
    expect(rig.dns.queries).toHaveLength(128);
    expect(await verdict('https://api.example.com/', { tenantSlug: 'globex' })).toBe('PASS');
    const asked = (name: string) => rig.dns.queries.filter((query) => query.name === name).length;
    rig.clock.advance(2_000);
    await until(() => silent.slice(0, 64).every((name) => asked(name) === 4));
    rig.clock.advance(2_000);
    expect(await Promise.all(mine.slice(0, 64))).toEqual(Array(64).fill('dns_failure'));
    await until(() => silent.slice(64).every((name) => asked(name) === 2));
    rig.clock.advance(2_000);
    await until(() => silent.slice(64).every((name) => asked(name) === 4));
    rig.clock.advance(2_000);
    expect(await Promise.all(mine)).toEqual(Array(100).fill('dns_failure'));
    expect(silent.every((name) => asked(name) === 4)).toBe(true);
  });

  it('S117 the clock of the call ends a slow look-up', async () => {
    rig.dns.set('silent.example.com', { silent: true });
    const call = verdict('https://silent.example.com/', { timeoutMs: 1_500 });
    await until(() => rig.dns.queries.length === 2);
    rig.clock.advance(1_500);
    expect(await call).toBe('upstream_timeout');
  });

  it('S129 within the TTL the judged answer holds, after it the new one is judged', async () => {
    expect(await resolved({ a: [PUBLIC], ttl: 30 })).toBe('PASS');
    rig.clock.advance(29_000);
    expect(await resolved(['10.0.0.1'])).toBe('PASS');
    rig.clock.advance(1_000);
    expect(await resolved(['10.0.0.1'])).toBe('ssrf_blocked');
    expect(new Set(dialer.dialled.map(({ address }) => address))).toEqual(new Set([PUBLIC]));
  });

  it('an answer is kept for at most 60 s, with TTL 0 not at all', async () => {
    expect(await resolved({ a: [PUBLIC], ttl: 86_400 })).toBe('PASS');
    rig.clock.advance(59_999);
    expect(await resolved(['10.0.0.1'])).toBe('PASS');
    rig.clock.advance(1);
    expect(await resolved(['10.0.0.1'])).toBe('ssrf_blocked');
    rig.dns.set('zero.example.com', { a: [PUBLIC], ttl: 0 });
    expect(await verdict('https://zero.example.com/')).toBe('PASS');
    rig.dns.set('zero.example.com', ['10.0.0.1']);
    expect(await verdict('https://zero.example.com/')).toBe('ssrf_blocked');
  });

  it('a failure is kept for 5 s', async () => {
    expect(await verdict('https://later.example.com/')).toBe('dns_failure');
    rig.dns.set('later.example.com', [PUBLIC]);
    rig.clock.advance(4_999);
    expect(await verdict('https://later.example.com/')).toBe('dns_failure');
    rig.clock.advance(1);
    expect(await verdict('https://later.example.com/')).toBe('PASS');
  });

  it('callers of one name at one time share one look-up, tenants do not', async () => {
    const verdicts = await Promise.all(Array.from({ length: 20 }, () => verdict('https://api.example.com/')));
    expect(new Set(verdicts)).toEqual(new Set(['PASS']));
    expect(rig.dns.queries).toHaveLength(2);
    await verdict('https://api.example.com/', { tenantSlug: 'globex' });
    expect(rig.dns.queries).toHaveLength(4);
  });

  it('judged addresses are dialled in turn, IPv4 first, at most four', async () => {
    await resolved({ a: ['8.8.8.8', '8.8.4.4'], aaaa: ['2606:4700::1', '2606:4700::2', '2606:4700::3'] });
    expect(dialer.dialled.map(({ address }) => address)).toEqual([
      '8.8.8.8',
      '8.8.4.4',
      '2606:4700::1',
      '2606:4700::2',
    ]);
  });
});

describe('S75 KNOX_EGRESS_NAT64', () => {
  it.each([
    ['64:ff9b::808:808', 'PASS'],
    ['64:ff9b::a01:203', 'ssrf_blocked'],
    ['64:ff9b::a9fe:a9fe', 'ssrf_blocked'],
    ['64:ff9b::7f00:1', 'ssrf_blocked'],
    ['64:ff9b:1::808:808', 'ssrf_blocked'],
    ['::ffff:8.8.8.8', 'ssrf_blocked'],
  ])('%s: %s', async (address, expected) => {
    await start({ nat64: true });
    expect(await resolved([address])).toBe(expected);
    expect(dialer.dialled.map((target) => target.address)).toEqual(expected === 'PASS' ? [address] : []);
  });
});

describe('KNOX_ALLOW_PRIVATE_UPSTREAMS', () => {
  const P = 'PASS';
  const URL_REFUSED = 'invalid_proxy_url';
  const IP_REFUSED = 'ssrf_blocked';
  const everything =
    '10.0.0.0/8,127.0.0.0/8,::1,169.254.0.0/16,168.63.129.16,100.64.0.0/10,fd00::/16,fe80::/16,0.0.0.0/8,internal,224.0.0.0/8,64:ff9b::/96,2002::/16';

  it.each([
    ['L01', '10.0.0.0/8', 'h.example.com', 443, '10.1.2.3', 'acme', P],
    ['L01', '10.0.0.0/8', 'h.example.com', 8443, '10.1.2.3', 'acme', P],
    ['L01', '10.0.0.0/8', 'h.example.com', 22, '10.1.2.3', 'acme', URL_REFUSED],
    ['L03', '10.0.0.0/8:22', 'h.example.com', 22, '10.1.2.3', 'acme', P],
    ['L03', '10.0.0.0/8:22', 'h.example.com', 443, '10.1.2.3', 'acme', P],
    ['L03', '10.0.0.0/8:22', 'h.example.com', 22, PUBLIC, 'acme', IP_REFUSED],
    ['L03', '10.0.0.0/8:22', 'h.example.com', 23, '10.1.2.3', 'acme', URL_REFUSED],
    ['L05', '10.0.0.0/8@acme', 'h.example.com', 443, '10.1.2.3', 'acme', P],
    ['L05', '10.0.0.0/8@acme', 'h.example.com', 443, '10.1.2.3', 'globex', IP_REFUSED],
    ['L05', '10.0.0.0/8:22@acme', 'h.example.com', 22, '10.1.2.3', 'globex', URL_REFUSED],
    ['L07', 'svc.cluster.local', 'pay.svc.cluster.local', 443, '10.96.0.7', 'acme', P],
    ['L07', 'svc.cluster.local', 'paysvc.cluster.local', 443, '10.96.0.7', 'acme', URL_REFUSED],
    ['L07', 'svc.cluster.local', 'x.internal', 443, '10.96.0.7', 'acme', URL_REFUSED],
    ['L07', 'svc.cluster.local', 'h.example.com', 443, '10.96.0.7', 'acme', IP_REFUSED],
    ['L07', 'svc.cluster.local:9200@acme', 'es.svc.cluster.local', 9200, '10.96.0.7', 'acme', P],
    ['L07', 'svc.cluster.local:9200@acme', 'es.svc.cluster.local', 9200, '10.96.0.7', 'globex', URL_REFUSED],
    ['L07', 'svc.cluster.local:9200', 'h.example.com', 9200, '10.96.0.7', 'acme', URL_REFUSED],
    ['L09', 'svc.cluster.local', 'pay.svc.cluster.local', 443, '127.0.0.1', 'acme', IP_REFUSED],
    ['L09', 'svc.cluster.local', 'pay.svc.cluster.local', 443, '169.254.169.254', 'acme', IP_REFUSED],
    ['L11', everything, 'h.internal', 443, '169.254.169.254', 'acme', IP_REFUSED],
    ['L11', everything, 'h.internal', 443, '169.254.170.2', 'acme', IP_REFUSED],
    ['L11', everything, 'h.internal', 443, '168.63.129.16', 'acme', IP_REFUSED],
    ['L11', everything, 'h.internal', 443, 'fd00:ec2::254', 'acme', IP_REFUSED],
    ['L11', everything, 'h.internal', 443, '100.100.100.200', 'acme', IP_REFUSED],
    ['L11', everything, 'h.internal', 443, 'fe80::1', 'acme', IP_REFUSED],
    ['L11', everything, 'h.internal', 443, '224.0.0.1', 'acme', IP_REFUSED],
    ['L11', everything, 'h.internal', 443, '64:ff9b::a9fe:a9fe', 'acme', IP_REFUSED],
    ['L11', everything, 'h.internal', 443, '2002:7f00:1::', 'acme', IP_REFUSED],
    ['L11', everything, 'h.internal', 443, 'fd00::1', 'acme', P],
    ['L11', everything, 'h.internal', 443, '100.64.1.1', 'acme', P],
    ['L11', everything, 'metadata.google.internal', 443, PUBLIC, 'acme', URL_REFUSED],
    ['L13', '127.0.0.0/8', 'h.example.com', 8443, '127.0.0.1', 'acme', P],
    ['L13', '127.0.0.1', 'h.example.com', 8443, '127.0.0.1', 'acme', P],
    ['L13', '127.0.0.1', 'h.example.com', 8443, '127.0.0.2', 'acme', IP_REFUSED],
    ['L13', '::1', 'h.example.com', 8443, '::1', 'acme', P],
    ['L13', '10.0.0.0/8', 'h.example.com', 8443, '127.0.0.1', 'acme', IP_REFUSED],
    ['L17', '0.0.0.0/8', 'h.example.com', 8443, '0.0.0.0', 'acme', IP_REFUSED],
    ['L17', '0.0.0.0/8,127.0.0.0/8', 'h.example.com', 8443, '0.0.0.0', 'acme', IP_REFUSED],
    ['L21', '10.0.0.0/8', '10.1.2.3', 443, '10.1.2.3', 'acme', URL_REFUSED],
    ['S125', 'payments', 'payments', 443, '10.1.2.3', 'acme', URL_REFUSED],
    ['-', 'localhost', 'localhost', 443, PUBLIC, 'acme', URL_REFUSED],
  ])('%s %s: %s:%i -> %s for %s: %s', async (_number, list, host, port, address, tenantSlug, expected) => {
    await start({ allowPrivateUpstreams: list, records: { [host]: [address] } });
    expect(await verdict(`https://${host}:${port}/`, { tenantSlug })).toBe(expected);
    expect(dialer.dialled).toEqual(expected === P ? [{ address, port, servername: host }] : []);
  });

  it.each([
    ['127.0.0.1', 8787, '127.0.0.1'],
    ['0.0.0.0', 8787, '127.9.9.9'],
    ['::', 8787, '127.0.0.1'],
    ['::', 8787, '::1'],
    ['::1', 5432, '127.0.0.1'],
    ['::ffff:127.0.0.1', 8787, '127.0.0.1'],
    ['10.0.0.5', 6379, '10.0.0.5'],
  ])('L15 own endpoint %s:%i is not reached as %s', async (own, port, address) => {
    const allowPrivateUpstreams = '127.0.0.0/8:5432+6379,::1:5432+6379,10.0.0.0/8:6379'.replace(
      '::1:5432+6379',
      '::1',
    );
    await start({ allowPrivateUpstreams, records: { 'h.example.com': [address] } });
    expect(await verdict(`https://h.example.com:${port}/`)).toBe('PASS');
    rig.egress.setOwnEndpoints([{ address: own, port }]);
    expect(await verdict(`https://h.example.com:${port}/`)).toBe('ssrf_blocked');
    expect(await verdict('https://h.example.com:18443/')).toBe('PASS');
  });

  it.each([
    '0.0.0.0/0',
    '10.0.0.0/7',
    'fc00::/7',
    '::/0',
    '2000::/3',
    '10.0.0.1/8',
    '10.0.0.0/33',
    '10.0.0.0/8:0',
    '10.0.0.0/8:70000',
    '10.0.0.0/8:9-3',
    '10.0.0.0/8:',
    '10.0.0.0/8@',
    '10.0.0.0/8@a@b',
    '10.0.0',
    '10.0.0.0.0',
    '*.example.com',
    'exa mple.com',
    '-.example.com',
    'https://x.example.com',
    '@acme',
    ':22',
  ])('L19 %s stops the start and names the variable', (entry) => {
    expect(() => parsePrivateUpstreams(`192.168.0.0/16,${entry}`)).toThrow(/^KNOX_ALLOW_PRIVATE_UPSTREAMS /);
    expect(privateUpstreamsProblem(entry)).toContain(entry);
  });

  it.each([
    '',
    ' , ',
    '10.0.0.0/8',
    'fd00::/16',
    '[fd12::]/32:22@acme',
    '[::1]:2222',
    '.svc.cluster.local.',
    '10.0.0.0/8:22+8000-8100@acme',
  ])('%j is well formed', (list) => {
    expect(privateUpstreamsProblem(list)).toBeNull();
  });
});
