import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type RequestOptions, request } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { json, text } from 'node:stream/consumers';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  openTlsDoor,
  pairOf,
  type TlsDoor,
  type TlsDoorOptions,
  type ToldSource,
} from '../../testing/tls-door.js';
import { createTestCa, type IssuedCertificate, type TestCa } from '../../testing/tls-upstream.js';
import { createExposition } from '../telemetry/exposition.js';

let ca: TestCa;
let own: IssuedCertificate;
let client: IssuedCertificate;
let other: IssuedCertificate;
beforeAll(async () => {
  ca = await createTestCa();
  own = await ca.issue(['localhost']);
  client = await ca.issue(['client']);
  other = await ca.issue(['other']);
});

const open: TlsDoor[] = [];
const agents: Agent[] = [];
afterEach(async () => {
  for (const agent of agents.splice(0)) agent.destroy();
  for (const door of open.splice(0)) await door.close();
});

async function door(options: Partial<TlsDoorOptions> = {}): Promise<TlsDoor> {
  const opened = await openTlsDoor({ certificate: own, ...options });
  open.push(opened);
  return opened;
}

const digestOf = ({ certPem }: IssuedCertificate) =>
  new X509Certificate(certPem).fingerprint256.replaceAll(':', '').toLowerCase();
const shown = ({ certPem, keyPem }: IssuedCertificate) => ({ cert: certPem, key: keyPem });

async function ask(port: number, options: RequestOptions = {}): Promise<ToldSource> {
  const call = request({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca: ca.caPem,
    path: '/source',
    ...options,
  });
  call.end();
  const [response] = await once(call, 'response');
  expect(response.statusCode).toBe(200);
  return (await json(response)) as ToldSource;
}

/** One connection for all calls of it. */
function keptAgent(options: ConnectionOptions = {}): Agent {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 1,
    ca: ca.caPem,
    servername: 'localhost',
    ...options,
  });
  agents.push(agent);
  return agent;
}

async function handshake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: ca.caPem, ...options });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

const metric = async ({ instruments }: TlsDoor, name: string) =>
  new RegExp(`^${name} (\\S+)$`, 'm').exec((await createExposition(instruments).read()).text)?.[1];

describe('a request over TLS', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('of %s shows the certificate of its client', async (version) => {
    const { port } = await door();
    const told = await ask(port, { ...shown(client), minVersion: version, maxVersion: version });
    expect(told).toMatchObject({ address: '127.0.0.1', isSecure: true });
    expect(told.certificate?.sha256Thumbprint).toBe(digestOf(client));
  });

  it('shows none where the client has none, nor does one without TLS', async () => {
    const { port, plainPort } = await door();
    expect(await ask(port)).toEqual({ address: '127.0.0.1', isSecure: true, certificate: null });
    const plain = await fetch(`http://127.0.0.1:${plainPort}/source`);
    expect(await plain.json()).toEqual({ address: '127.0.0.1', isSecure: false, certificate: null });
  });

  it('shows one that has expired with its dates, for whoever judges it', async () => {
    const { port } = await door();
    const { certificate } = await ask(port, shown(await ca.issue(['old'], { expired: true })));
    expect(certificate!.notAfterMs).toBeLessThan(performance.timeOrigin);
    expect(certificate!.notBeforeMs).toBeLessThan(certificate!.notAfterMs);
  });

  it('keeps the certificate on its connection, and each connection has its own', async () => {
    const { port } = await door();
    const [first, second] = [keptAgent(shown(client)), keptAgent(shown(other))];
    for (let i = 0; i < 2; i++) {
      expect((await ask(port, { agent: first })).certificate?.sha256Thumbprint).toBe(digestOf(client));
      expect((await ask(port, { agent: second })).certificate?.sha256Thumbprint).toBe(digestOf(other));
    }
  });

  it('whose header is that of a trusted peer counts by the header alone', async () => {
    const peers = [{ address: { family: 4, bytes: new Uint8Array([127, 0, 0, 1]) }, prefix: 32 }] as const;
    const { port } = await door({
      trustedPeers: { proxies: [], certificateHeader: { name: 'x-cert', format: 'sha256-hex', peers } },
    });
    const headers = { 'x-cert': digestOf(other) };
    expect((await ask(port, { ...shown(client), headers })).certificate?.sha256Thumbprint).toBe(
      digestOf(other),
    );
    expect((await ask(port, shown(client))).certificate).toBeNull();
  });
});

describe('refused', () => {
  it('is a version before 1.2', async () => {
    const { port } = await door();
    await expect(handshake(port, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).rejects.toThrow();
  });

  it('is a change of the certificate on an open connection', async () => {
    const { port } = await door();
    const socket = await handshake(port, { ...shown(client), maxVersion: 'TLSv1.2' });
    socket.resume().renegotiate({}, () => {});
    await once(socket, 'close');
  });

  it('is what does not speak TLS, and what says nothing, and both are counted', async () => {
    const opened = await door({ limits: { requestHeadMs: 200 } });
    const spoken = connectPlain(opened.port, '127.0.0.1');
    spoken.on('error', () => {});
    spoken.end('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const silent = connectPlain(opened.port, '127.0.0.1');
    silent.on('error', () => {}).resume();
    await Promise.all([once(spoken, 'close'), once(silent, 'close')]);
    await expect.poll(() => metric(opened, 'knox_tls_handshakes_failed_total')).toBe('2');
  });

  it('is a connection above the limit, and counted as on the other listener', async () => {
    const opened = await door({ limits: { connectionsMax: 1 } });
    const first = await handshake(opened.port);
    const second = connectPlain(opened.port, '127.0.0.1');
    second.on('error', () => {});
    await once(second, 'close');
    expect(await metric(opened, 'knox_http_connections_refused_total')).toBe('1');
    expect(await metric(opened, 'knox_http_connections')).toBe('1');
    first.destroy();
  });

  it('is a head that does not come in time, as everywhere', async () => {
    const { port } = await door({ limits: { requestHeadMs: 100, checkEveryMs: 10 } });
    const slow = await handshake(port);
    slow.write('GET /source HTTP/1.1\r\nHost: x\r\nX-Slow: ');
    expect(await text(slow)).toMatch(/^HTTP\/1\.1 400 [\s\S]*did not come in time/);
    const silent = await handshake(port);
    expect(await text(silent)).toBe('');
  });

  it('is a malformed request, as everywhere', async () => {
    const { port } = await door();
    const socket = await handshake(port);
    socket.end('GET /source HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe('another certificate', () => {
  it('is shown from then on, while open connections go on', async () => {
    const { port, tls } = await door();
    const agent = keptAgent();
    await ask(port, { agent });
    const next = await ca.issue(['localhost']);
    tls.use(pairOf(next));
    const socket = await handshake(port);
    expect(socket.getPeerX509Certificate()?.fingerprint256).toBe(
      new X509Certificate(next.certPem).fingerprint256,
    );
    socket.destroy();
    await ask(port, { agent });
  });
});

describe('a stop', () => {
  const slow = (begun: () => void, release: Promise<void>) => (app: TlsDoor['app']) =>
    app.get('/slow', async () => {
      begun();
      await release;
      return {};
    });

  it('ends idle connections, waits for a call in flight and refuses new ones', async () => {
    let release = () => {};
    let begun = () => {};
    const hasBegun = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const opened = await openTlsDoor({
      certificate: own,
      extend: slow(
        () => begun(),
        new Promise((resolve) => {
          release = resolve;
        }),
      ),
    });
    const agent = keptAgent();
    await ask(opened.port, { agent });
    const answered = ask(opened.port, { path: '/slow' });
    await hasBegun;
    const closed = opened.close(60_000);
    await expect
      .poll(() =>
        handshake(opened.port).then(
          () => 'accepted',
          () => 'refused',
        ),
      )
      .toBe('refused');
    release();
    await answered;
    await closed;
  });

  it('breaks off what takes too long, a handshake too', async () => {
    let begun = () => {};
    const hasBegun = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const opened = await openTlsDoor({
      certificate: own,
      extend: slow(() => begun(), new Promise(() => {})),
    });
    const answered = ask(opened.port, { path: '/slow' });
    const silent = connectPlain(opened.port, '127.0.0.1');
    await Promise.all([hasBegun, once(silent, 'connect')]);
    await opened.close(50);
    await expect(answered).rejects.toThrow('socket hang up');
  });
});
