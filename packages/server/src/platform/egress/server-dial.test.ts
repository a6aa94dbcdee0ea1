import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../kernel/secret.js';
import { type EgressRig, startEgressRig, until } from '../../testing/egress-rig.js';
import {
  startHttpProxy,
  startSocksServer,
  startTalker,
  type TestProxy,
} from '../../testing/egress-servers.js';
import { createTestCa, startTlsUpstream, type TestCa, type TlsUpstream } from '../../testing/tls-upstream.js';
import type { EgressServer } from './egress.js';
import { createHostList } from './name-policy.js';

const LOGIN = { username: 'user', password: 'pass: é' };
let ca: TestCa;
let upstream: TlsUpstream;
let other: TlsUpstream;
let socks: TestProxy;
let locked: TestProxy;
let http: TestProxy;
let lockedHttp: TestProxy;
let rig: EgressRig;
/** Where each call came from, as the upstream saw it. */
let peers: string[];

beforeAll(async () => {
  ca = await createTestCa();
  upstream = await startTlsUpstream({
    ca,
    names: ['api.example.com'],
    handler(request, response) {
      peers.push(request.socket.remoteAddress ?? '');
      request.resume().on('end', () => response.end('hello'));
    },
  });
  other = await startTlsUpstream({ ca, names: ['other.example.com'] });
  [socks, locked, http, lockedHttp] = await Promise.all([
    startSocksServer(),
    startSocksServer(LOGIN),
    startHttpProxy(),
    startHttpProxy(LOGIN),
  ]);
});
afterAll(() => Promise.all([socks, locked, http, lockedHttp, upstream, other].map((one) => one.close())));

beforeEach(async () => {
  peers = [];
  for (const { asked } of [socks, locked, http, lockedHttp]) asked.length = 0;
  rig = await startEgressRig({
    allowPrivateUpstreams: '127.0.0.0/8',
    sourceAddresses: '127.0.0.2,127.0.0.3@other,192.0.2.1',
    extraCaPem: ca.caPem,
    records: {
      'api.example.com': ['127.0.0.1'],
      'proxy.example.com': ['127.0.0.1'],
      'inside.example.com': ['10.0.0.1'],
    },
  });
  return () => rig.close();
});

let made = 0;
const server = (
  terms: Partial<EgressServer> & { readonly login?: never; readonly as?: typeof LOGIN },
): EgressServer => ({
  id: `s${++made}`,
  version: 1,
  kind: 'socks5',
  address: '127.0.0.1',
  port: 1,
  ...terms,
  login: async () =>
    terms.as ? { username: terms.as.username, password: new Secret(terms.as.password) } : null,
});
const url = () => `https://api.example.com:${upstream.port}/x`;
const by = (...via: EgressServer[]) => rig.send(url(), { via });
const there = () => `127.0.0.1:${upstream.port}`;
const unavailable = expect.objectContaining({ type: 'egress_unavailable' });

describe('a tunnel', () => {
  it.each([
    ['SOCKS5', 'socks5', () => socks, undefined],
    ['SOCKS5 with a login', 'socks5', () => locked, LOGIN],
    ['SOCKS5 that needs none of the login', 'socks5', () => socks, LOGIN],
    ['an HTTP proxy', 'http_proxy', () => http, undefined],
    ['an HTTP proxy with a login', 'http_proxy', () => lockedHttp, LOGIN],
  ] as const)('by %s leads to the judged address, and TLS to the name', async (_name, kind, proxy, as) => {
    const one = server({ kind, port: proxy().port, ...(as && { as }) });
    expect((await by(one)).body.toString()).toBe('hello');
    expect((await by(one)).status).toBe(200);
    expect(proxy().asked.map((text) => text.replace(/^.* /, ''))).toEqual([there()]);
    expect(upstream.requests.at(-1)?.servername).toBe('api.example.com');
  });

  it('leads from a name of the server too, judged in its place', async () => {
    expect((await by(server({ address: 'proxy.example.com', port: socks.port }))).status).toBe(200);
  });

  it('serves its server and version alone, and no direct call', async () => {
    const one = server({ port: socks.port });
    const before = upstream.connectionCount();
    await by(one);
    await rig.send(url());
    await by({ ...one, version: 2 });
    await by(one);
    await rig.send(url());
    expect(upstream.connectionCount() - before).toBe(3);
    expect(socks.asked).toHaveLength(2);
  });

  it('is not begun for an upstream that the guard refuses', async () => {
    await expect(
      rig.send('https://inside.example.com/', { via: [server({ port: socks.port })] }),
    ).rejects.toMatchObject({ type: 'ssrf_blocked' });
    expect(socks.asked).toEqual([]);
  });

  it('that ends at another server ends there: the certificate is of another name', async () => {
    const astray = await startTalker((socket) => {
      socket.once('data', () => {
        socket.write(Buffer.from([5, 0]));
        socket.once('data', () => {
          const onward = connect(other.port, '127.0.0.1', () => {
            socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
            socket.pipe(onward).pipe(socket);
          });
          onward.on('error', () => socket.destroy());
          socket.on('error', () => onward.destroy());
        });
      });
    });
    const before = other.requests.length;
    await expect(by(server({ port: astray.port }))).rejects.toMatchObject({ type: 'upstream_tls_error' });
    expect(other.requests.length).toBe(before);
    await astray.close();
  });
});

describe('a source address', () => {
  it('is where the call comes from', async () => {
    await by(server({ kind: 'source_address', address: '127.0.0.2', port: null }));
    await rig.send(url());
    expect(peers).toEqual(['127.0.0.2', '127.0.0.1']);
  });

  it.each(['127.0.0.3', '127.0.0.4', '192.0.2.1', 'example.com'])(
    'is not %s, which another has, nobody or no machine',
    async (address) => {
      await expect(by(server({ kind: 'source_address', address, port: null }))).rejects.toEqual(unavailable);
      expect(peers).toEqual([]);
    },
  );
});

describe('502 egress_unavailable, never a direct call', () => {
  const says = (bytes: Buffer | string) =>
    startTalker((socket) => socket.once('data', () => socket.write(bytes)));
  const HOSTILE = {
    garbage: () => says('SSH-2.0-OpenSSH_9.2\r\n'),
    'no method': () => says(Buffer.from([5, 0xff])),
    'an unknown method': () => says(Buffer.from([5, 9])),
    'a login asked of nobody': () => says(Buffer.from([5, 2])),
    'an early end': () => startTalker((socket) => socket.end()),
    'a reset': () => startTalker((socket) => socket.resetAndDestroy()),
    'an answer of another kind of address': () => says(Buffer.from([5, 0, 5, 0, 0, 9, 0, 0])),
    'an answer that does not end': () =>
      says(Buffer.concat([Buffer.from('HTTP/1.1 200 '), Buffer.alloc(70_000, 65)])),
    'bytes behind its answer': () => says('HTTP/1.1 200 OK\r\n\r\nmore'),
    'a status that is none': () => says('HTTP/1.1 2000 OK\r\n\r\n'),
    'an interim answer': () => says('HTTP/1.1 100 Continue\r\n\r\n'),
    'a refusal': () => says('HTTP/1.1 403 Forbidden\r\n\r\n'),
  };
  it.each(Object.keys(HOSTILE) as (keyof typeof HOSTILE)[])('%s', async (name) => {
    const hostile = await HOSTILE[name]();
    for (const kind of ['socks5', 'http_proxy'] as const)
      await expect(by(server({ kind, port: hostile.port }))).rejects.toEqual(unavailable);
    expect(peers).toEqual([]);
    await hostile.close();
  });

  it.each([
    ['nobody listens', () => server({ port: 1_025 })],
    ['no server at all', () => null],
    ['a wrong login', () => server({ port: locked.port, as: { ...LOGIN, password: 'other' } })],
    [
      'a wrong login by HTTP',
      () => server({ kind: 'http_proxy', port: lockedHttp.port, as: { ...LOGIN, password: 'no' } }),
    ],
    ['a private address that nobody opened', () => server({ address: '10.0.0.1', port: 1_080 })],
    ['a name that leads to one', () => server({ address: 'inside.example.com', port: 1_080 })],
    ['metadata', () => server({ address: '169.254.169.254', port: 1_080 })],
    ['a name that is not there', () => server({ address: 'gone.example.com', port: 1_080 })],
    ['a port of what is no proxy', () => server({ address: '127.0.0.1', port: 6_379 })],
  ])('%s', async (_name, of) => {
    const one = of();
    await expect(rig.send(url(), { via: one ? [one] : [] })).rejects.toEqual(unavailable);
    expect(peers).toEqual([]);
  });

  it('a server that is silent, once it has had its time', async () => {
    let connections = 0;
    const silent = await startTalker(() => void connections++);
    const sent = by(server({ port: silent.port }), server({ port: socks.port }));
    await until(() => connections === 1);
    await until(() => {
      rig.clock.advance(1_000);
      return peers.length === 1;
    });
    expect((await sent).status).toBe(200);
    await silent.close();
  });
});

describe('failover', () => {
  it('goes to the next, and comes back when the first had its time', async () => {
    const first = server({ port: locked.port, as: { ...LOGIN, password: 'other' } });
    const second = server({ kind: 'http_proxy', port: http.port });
    await by(first, second);
    expect(http.asked).toHaveLength(1);
    const tries = () => rig.egress.probe(judged, first, rig.egress.startClock(1_000, STAYS));
    const policy = { tenantSlug: 'acme', allowedHosts: createHostList([]) };
    const judged = await rig.egress.judge(
      rig.egress.parse(url(), policy),
      policy,
      rig.egress.startClock(1_000, STAYS),
    );
    await expect(tries()).rejects.toEqual(unavailable);
    const mended = { ...first, login: server({ as: LOGIN }).login };
    await by(mended, second);
    expect(locked.asked).toEqual([]);
    rig.clock.advance(60_000);
    await by(mended, second);
    expect(locked.asked).toHaveLength(1);
  });

  it('is not for an upstream that cannot be reached, as the server says', async () => {
    const closed = 'https://api.example.com:1025/';
    const busy = await startTalker((socket) =>
      socket.once('data', () => socket.write('HTTP/1.1 503 Service Unavailable\r\n\r\n')),
    );
    for (const one of [server({ port: socks.port }), server({ kind: 'http_proxy', port: busy.port })])
      await expect(
        rig.send(closed, { via: [one, server({ port: locked.port, as: LOGIN })] }),
      ).rejects.toMatchObject({ type: 'upstream_unreachable' });
    expect(locked.asked).toEqual([]);
    await busy.close();
  });
});

const STAYS = { isGone: false, onGone: () => {} };
