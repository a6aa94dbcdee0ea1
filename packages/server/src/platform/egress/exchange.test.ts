import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, createServer, Socket } from 'node:net';
import { Readable, Writable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../../kernel/errors.js';
import {
  type EgressRig,
  type EgressRigOptions,
  startEgressRig,
  turns,
  until,
} from '../../testing/egress-rig.js';
import {
  createTestCa,
  startTlsUpstream,
  type TestCa,
  type TlsUpstream,
  type TlsUpstreamOptions,
} from '../../testing/tls-upstream.js';
import { type Dialer, tcpDialer } from './dial.js';
import { ClientGone } from './egress.js';

const NAME = 'api.example.com';
let ca: TestCa;
const opened: { close(): Promise<unknown> }[] = [];

beforeAll(async () => {
  ca = await createTestCa();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((part) => part.close()));
});

async function startRig(options: EgressRigOptions = {}): Promise<EgressRig> {
  const rig = await startEgressRig({
    allowPrivateUpstreams: '127.0.0.0/8',
    extraCaPem: ca.caPem,
    records: { [NAME]: ['127.0.0.1'] },
    ...options,
  });
  opened.push(rig);
  return rig;
}

async function startUpstream(
  options: Partial<TlsUpstreamOptions> = {},
): Promise<TlsUpstream & { url: string }> {
  const upstream = await startTlsUpstream({ ca, names: [NAME], ...options });
  opened.push(upstream);
  return Object.assign(upstream, { url: `https://${NAME}:${upstream.port}` });
}

/** An upstream that writes these bytes for every request head. */
const rawUpstream = (answer: string) =>
  startUpstream({ onSocket: (socket) => socket.on('data', () => socket.write(answer, 'latin1')) });

async function failureOf(call: Promise<unknown>): Promise<AppError> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof AppError)) throw new Error(`no AppError: ${String(error)}`);
  return error;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function headerOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === name);
}

const echo = (request: IncomingMessage, response: ServerResponse) => {
  bodyOf(request).then(
    (body) => response.end(body),
    () => response.destroy(),
  );
};

describe('what goes upstream', () => {
  it('S113 SNI and Host are of the name, dialled by its address; the dot of the root is dropped', async () => {
    const rig = await startRig();
    const upstream = await startUpstream();
    const answer = await rig.send(`https://${NAME}.:${upstream.port}/p/a?q=%20#f`);
    expect(answer.status).toBe(200);
    const [request] = upstream.requests;
    expect(request).toMatchObject({ method: 'GET', url: '/p/a?q=%20', servername: NAME });
    expect(headerOf(request!.rawHeaders, 'host')).toEqual([`${NAME}:${upstream.port}`]);
  });

  it('keeps Host, framing and connection headers its own; P16 Expect is not sent on', async () => {
    const rig = await startRig();
    const upstream = await startUpstream();
    const headers = [
      'Host',
      'evil.example.com',
      'Content-Length',
      '5',
      'transfer-encoding',
      'chunked',
      'connection',
    ];
    headers.push('close', 'Expect', '100-continue', 'Upgrade', 'h2c', 'X-Kept', 'a', 'x-kept', 'b');
    await rig.send(`${upstream.url}/`, { method: 'POST', headers, body: Buffer.from('abc') });
    const { rawHeaders } = upstream.requests[0]!;
    expect(headerOf(rawHeaders, 'host')).toEqual([`${NAME}:${upstream.port}`]);
    expect(headerOf(rawHeaders, 'content-length')).toEqual(['3']);
    expect(headerOf(rawHeaders, 'connection')).toEqual(['keep-alive']);
    expect(headerOf(rawHeaders, 'x-kept')).toEqual(['a', 'b']);
    for (const name of ['transfer-encoding', 'expect', 'upgrade'])
      expect(headerOf(rawHeaders, name)).toEqual([]);
  });

  it.each(['GET', 'DELETE', 'OPTIONS', 'POST', 'PATCH', 'PURGE'])(
    'P04 %s with a chunked body goes whole',
    async (method) => {
      const rig = await startRig();
      const upstream = await startUpstream({ handler: echo });
      const body = () => Readable.from([Buffer.from('one'), Buffer.from('two')]);
      const chunked = await rig.send(`${upstream.url}/`, { method, body: body() });
      expect(chunked.body.toString()).toBe('onetwo');
      expect(headerOf(upstream.requests[0]!.rawHeaders, 'transfer-encoding')).toEqual(['chunked']);
      const sized = await rig.send(`${upstream.url}/`, { method, body: body(), bodyLength: 6 });
      expect(sized.body.toString()).toBe('onetwo');
      expect(headerOf(upstream.requests[1]!.rawHeaders, 'content-length')).toEqual(['6']);
    },
  );

  it('a POST without a body says so, a GET says nothing', async () => {
    const rig = await startRig();
    const upstream = await startUpstream();
    await rig.send(`${upstream.url}/`, { method: 'POST', body: Readable.from([]), bodyLength: 0 });
    await rig.send(`${upstream.url}/`);
    expect(upstream.requests.map(({ rawHeaders }) => headerOf(rawHeaders, 'content-length'))).toEqual([
      ['0'],
      [],
    ]);
  });

  it.each([
    ['header value with CR LF', { headers: ['x-a', 'b\r\nx-evil: 1'] }],
    ['header value with NUL', { headers: ['x-a', 'b\0c'] }],
    ['header value beyond latin1', { headers: ['x-a', '\u20ac'] }],
    ['header name with a space', { headers: ['x a', 'b'] }],
    ['path with a space', { path: '/a b' }],
    ['path with CR LF', { path: '/a\r\nHost: evil' }],
    ['path with a fragment', { path: '/a#b' }],
    ['absolute path', { path: 'https://evil.example.com/' }],
    ['method with a space', { method: 'GET /x' }],
    ['CONNECT', { method: 'CONNECT' }],
  ])('P07 %s is 400 and nothing is sent', async (_what, options) => {
    const rig = await startRig();
    const upstream = await startUpstream();
    expect((await failureOf(rig.send(`${upstream.url}/`, options))).type).toBe('validation_error');
    expect(upstream.requests).toEqual([]);
  });

  it('latin1 header bytes pass both ways', async () => {
    const rig = await startRig();
    const upstream = await startUpstream({
      handler: (request, response) => {
        response.setHeader('x-back', request.headers['x-there'] as string);
        response.end();
      },
    });
    const { rawHeaders } = await rig.send(`${upstream.url}/`, { headers: ['x-there', 'caf\u00e9\u00ff'] });
    expect(headerOf(rawHeaders, 'x-back')).toEqual(['caf\u00e9\u00ff']);
  });

  it('a body that is shorter than its length, or fails, fails the call', async () => {
    const rig = await startRig();
    const upstream = await startUpstream({ handler: echo });
    const short = rig.send(`${upstream.url}/`, {
      method: 'POST',
      body: Readable.from([Buffer.from('a')]),
      bodyLength: 2,
    });
    expect((await failureOf(short)).type).toBe('validation_error');
    const tooLarge = new AppError('payload_too_large', 'too large');
    const refusing = () =>
      new Readable({
        read() {
          this.destroy(tooLarge);
        },
      });
    await expect(rig.send(`${upstream.url}/`, { method: 'POST', body: refusing() })).rejects.toBe(tooLarge);
    const aborted = () =>
      new Readable({
        read() {
          this.destroy(new Error('aborted'));
        },
      });
    await expect(rig.send(`${upstream.url}/`, { method: 'POST', body: aborted() })).rejects.toBeInstanceOf(
      ClientGone,
    );
  });
});

describe('what comes back', () => {
  it('S105, S107 a redirect is returned, not followed', async () => {
    const rig = await startRig();
    const upstream = await startUpstream({
      handler: (_request, response) => response.writeHead(302, { location: '//169.254.169.254/' }).end(),
    });
    const { status, rawHeaders } = await rig.send(`${upstream.url}/`);
    expect([status, headerOf(rawHeaders, 'location')]).toEqual([302, ['//169.254.169.254/']]);
    expect(upstream.requests).toHaveLength(1);
    expect(rig.dns.queries.every(({ name }) => name === NAME)).toBe(true);
  });

  it('S109 without Alt-Svc; P22 every Set-Cookie; trailers dropped', async () => {
    const rig = await startRig();
    const upstream = await rawUpstream(
      'HTTP/1.1 200 OK\r\nAlt-Svc: h3="internal:443"\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n' +
        'Transfer-Encoding: chunked\r\nTrailer: x-t\r\n\r\n2\r\nhi\r\n0\r\nx-t: 1\r\n\r\n',
    );
    const { rawHeaders, body } = await rig.send(`${upstream.url}/`);
    expect(headerOf(rawHeaders, 'set-cookie')).toEqual(['a=1', 'b=2']);
    expect(headerOf(rawHeaders, 'alt-svc')).toEqual([]);
    expect(headerOf(rawHeaders, 'x-t')).toEqual([]);
    expect(body.toString()).toBe('hi');
  });

  it('P16 interim answers are passed over', async () => {
    const rig = await startRig();
    const upstream = await rawUpstream(
      'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok',
    );
    const { status, rawHeaders, body } = await rig.send(`${upstream.url}/`);
    expect([status, rawHeaders, body.toString()]).toEqual([201, ['content-length', '2'], 'ok']);
  });

  it.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n', 200],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', 204],
    ['GET', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n', 304],
  ])('P21 %s %j has no body', async (method, raw, status) => {
    const rig = await startRig();
    const upstream = await rawUpstream(raw);
    const answer = await rig.send(`${upstream.url}/`, { method });
    expect([answer.status, answer.body.length]).toEqual([status, 0]);
  });

  it('P18 each piece arrives when it was written', async () => {
    const rig = await startRig();
    let response!: ServerResponse;
    const upstream = await startUpstream({
      handler: (_request, started) => {
        response = started;
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
      },
    });
    const received: string[] = [];
    const onHead = () =>
      new Writable({
        write(chunk, _encoding, done) {
          received.push(String(chunk));
          done();
        },
      });
    const call = rig.send(`${upstream.url}/`, { onHead });
    await until(() => received.join('') === 'data: 1\n\n');
    response.write('data: 2\n\n');
    await until(() => received.join('') === 'data: 1\n\ndata: 2\n\n');
    response.end();
    await call;
    expect(received.join('')).toBe('data: 1\n\ndata: 2\n\n');
  });

  it.each([
    ['with a length', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'],
    ['chunked', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
  ])('P20 an upstream that dies in a body %s breaks the stream', async (_what, raw) => {
    const rig = await startRig();
    const upstream = await startUpstream({
      onSocket: (socket) => socket.once('data', () => socket.write(raw, () => socket.destroy())),
    });
    const writable = new Writable({ write: (_chunk, _encoding, done) => done() });
    const error = await failureOf(rig.send(`${upstream.url}/`, { onHead: () => writable }));
    expect(error.type).toBe('upstream_unreachable');
    expect(writable.destroyed && !writable.writableFinished).toBe(true);
  });

  it('an error of onHead ends the call as it is', async () => {
    const rig = await startRig();
    const upstream = await startUpstream();
    const refused = new AppError('redaction_failed', 'no');
    const onHead = () => {
      throw refused;
    };
    await expect(rig.send(`${upstream.url}/`, { onHead })).rejects.toBe(refused);
    await until(() => upstream.openConnectionCount() === 0);
  });

  it.each([
    ['not HTTP', 'SSH-2.0-OpenSSH_9\r\n', 'upstream_unreachable'],
    [
      'two lengths',
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab',
      'upstream_unreachable',
    ],
    [
      'an unasked upgrade',
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
      'upstream_unreachable',
    ],
    ['too much header', `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(70_000)}\r\n\r\n`, 'upstream_unreachable'],
  ])('an answer that is %s is %s', async (_what, raw, type) => {
    const rig = await startRig();
    const upstream = await rawUpstream(raw);
    expect((await failureOf(rig.send(`${upstream.url}/`))).type).toBe(type);
  });

  it('response headers of 60 KiB pass', async () => {
    const rig = await startRig();
    const upstream = await rawUpstream(
      `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(60_000)}\r\ncontent-length: 0\r\n\r\n`,
    );
    expect(headerOf((await rig.send(`${upstream.url}/`)).rawHeaders, 'x')[0]).toHaveLength(60_000);
  });
});

describe('back-pressure', () => {
  const MiB = 1024 * 1024;

  it('P23 a large upload is read no faster than the upstream takes it', async () => {
    const rig = await startRig();
    let request!: IncomingMessage;
    let received = 0;
    const upstream = await startUpstream({
      handler: (started, response) => {
        request = started.pause();
        request.on('data', (chunk: Buffer) => {
          received += chunk.length;
        });
        request.pause();
        request.on('end', () => response.end());
      },
    });
    let produced = 0;
    const body = new Readable({
      read() {
        produced += MiB;
        this.push(produced > 100 * MiB ? null : Buffer.alloc(MiB));
      },
    });
    const call = rig.send(`${upstream.url}/`, { method: 'PUT', body, bodyLength: 100 * MiB });
    await until(() => request !== undefined);
    // Loop turns in plenty: whoever ignored the pause would have read all of it.
    await turns(2_000);
    expect(produced).toBeLessThan(30 * MiB);
    request.resume();
    expect((await call).status).toBe(200);
    expect(received).toBe(100 * MiB);
  });

  it('a large answer is read no faster than the client takes it', async () => {
    const rig = await startRig();
    let sent = 0;
    const upstream = await startUpstream({
      handler: (_request, response) => {
        Readable.from(
          (function* () {
            for (; sent < 100; sent++) yield Buffer.alloc(MiB);
          })(),
        ).pipe(response);
      },
    });
    const waiting: (() => void)[] = [];
    let received = 0;
    let isOpen = false;
    const onHead = () =>
      new Writable({
        write(chunk: Buffer, _encoding, done) {
          received += chunk.length;
          if (isOpen) done();
          else waiting.push(done);
        },
      });
    const call = rig.send(`${upstream.url}/`, { onHead });
    await until(() => received > 0);
    await turns(2_000);
    expect(sent).toBeLessThan(30);
    isOpen = true;
    for (const done of waiting) done();
    await call;
    expect(received).toBe(100 * MiB);
  });
});

describe('one clock', () => {
  it('S117 a connection that does not come about', async () => {
    const dialled: Socket[] = [];
    const dialer: Dialer = () => {
      const socket = new Socket();
      dialled.push(socket);
      return socket;
    };
    const rig = await startRig({ dialer });
    const call = failureOf(rig.send(`https://${NAME}/`, { timeoutMs: 4_000 }));
    await until(() => dialled.length === 1);
    rig.clock.advance(3_999);
    expect(dialled[0]!.destroyed).toBe(false);
    rig.clock.advance(1);
    expect((await call).type).toBe('upstream_timeout');
    expect(dialled[0]!.destroyed).toBe(true);
  });

  it('S117 a TLS handshake that does not end', async () => {
    const rig = await startRig();
    const sockets: Socket[] = [];
    const silent = createServer((socket) => void sockets.push(socket.on('error', () => {}).resume())).listen(
      0,
      '127.0.0.1',
    );
    await once(silent, 'listening');
    opened.push({ close: () => new Promise((resolve) => silent.close(resolve)) });
    const { port } = silent.address() as { port: number };
    const call = failureOf(rig.send(`https://${NAME}:${port}/`));
    await until(() => sockets.length === 1 && sockets[0]!.bytesRead > 0);
    rig.clock.advance(25_000);
    expect((await call).type).toBe('upstream_timeout');
    await until(() => sockets[0]!.destroyed);
  });

  it('S117 headers that do not come, and a request body that does not end', async () => {
    const rig = await startRig();
    const upstream = await startUpstream({ handler: () => {} });
    for (const body of [null, new Readable({ read() {} })]) {
      const before = upstream.requests.length;
      body?.push('some');
      const call = failureOf(rig.send(`${upstream.url}/`, { method: 'POST', body }));
      await until(() => upstream.requests.length === before + 1);
      rig.clock.advance(24_999);
      rig.clock.advance(1);
      expect((await call).type).toBe('upstream_timeout');
      await until(() => upstream.openConnectionCount() === 0);
    }
  });

  it('no stage starts it anew: DNS, then headers', async () => {
    const rig = await startRig();
    const upstream = await startUpstream({ handler: () => {} });
    rig.dns.set(NAME, { a: ['127.0.0.1'], silent: ['AAAA'] });
    const call = failureOf(rig.send(`${upstream.url}/`, { timeoutMs: 5_000 }));
    const asked = () => rig.dns.queries.filter(({ type }) => type === 'AAAA').length;
    await until(() => asked() === 1);
    await turns();
    rig.clock.advance(2_000);
    await until(() => asked() === 2);
    rig.clock.advance(2_000);
    await until(() => upstream.requests.length === 1);
    rig.clock.advance(1_000);
    expect((await call).type).toBe('upstream_timeout');
  });

  it('after the head only silence counts', async () => {
    const rig = await startRig();
    let response!: ServerResponse;
    const upstream = await startUpstream({
      handler: (_request, started) => {
        response = started;
        response.write('0');
      },
    });
    let received = '';
    const writable = new Writable({
      write(chunk, _encoding, done) {
        received += String(chunk);
        done();
      },
    });
    const call = failureOf(rig.send(`${upstream.url}/`, { timeoutMs: 10_000, onHead: () => writable }));
    await until(() => received === '0');
    for (let i = 1; i <= 5; i++) {
      rig.clock.advance(9_000);
      response.write(String(i));
      await until(() => received.length === i + 1);
    }
    rig.clock.advance(9_999);
    expect(writable.destroyed).toBe(false);
    rig.clock.advance(1);
    expect((await call).type).toBe('upstream_timeout');
    expect(writable.destroyed).toBe(true);
    await until(() => upstream.openConnectionCount() === 0);
  });

  it('a client that stops reading is silent too', async () => {
    const rig = await startRig();
    const upstream = await startUpstream({
      handler: (_request, response) => void response.end(Buffer.alloc(5_000_000)),
    });
    let isWriting = false;
    const stuck = new Writable({
      write() {
        isWriting = true;
      },
    });
    const call = failureOf(rig.send(`${upstream.url}/`, { timeoutMs: 10_000, onHead: () => stuck }));
    await until(() => isWriting);
    await turns();
    rig.clock.advance(10_000);
    rig.clock.advance(10_000);
    expect((await call).type).toBe('upstream_timeout');
    await until(() => upstream.openConnectionCount() === 0);
  });
});

describe('P19 the client goes away', () => {
  it('while connecting, while waiting for headers, in the body: the upstream connection ends at once', async () => {
    const rig = await startRig();
    const upstream = await startUpstream({
      handler: (request, response) => {
        if (request.url === '/body') response.write('begun');
      },
    });
    for (const path of ['/headers', '/body']) {
      const gone = new AbortController();
      let hasHead = false;
      const onHead = () => {
        hasHead = true;
        return new Writable({ write: (_chunk, _encoding, done) => done() });
      };
      const before = upstream.requests.length;
      const call = rig.send(`${upstream.url}${path}`, { clientGone: gone.signal, onHead });
      call.catch(() => {});
      await until(() => upstream.requests.length > before && (path === '/headers' || hasHead));
      gone.abort();
      await expect(call).rejects.toBeInstanceOf(ClientGone);
      await until(() => upstream.openConnectionCount() === 0);
    }
    const gone = new AbortController();
    gone.abort();
    await expect(rig.send(`${upstream.url}/`, { clientGone: gone.signal })).rejects.toBeInstanceOf(
      ClientGone,
    );
  });

  it('seen by its response alone', async () => {
    const rig = await startRig();
    const upstream = await startUpstream({ handler: (_request, response) => void response.write('begun') });
    const writable = new Writable({ write: (_chunk, _encoding, done) => done() });
    const call = rig.send(`${upstream.url}/`, { onHead: () => writable });
    call.catch(() => {});
    await until(() => upstream.requests.length === 1);
    await until(() => writable.listenerCount('drain') > 0);
    writable.destroy();
    await expect(call).rejects.toBeInstanceOf(ClientGone);
    await until(() => upstream.openConnectionCount() === 0);
  });
});

describe('whom it talks to', () => {
  it('the peer after connecting is the judged address, before any TLS byte', async () => {
    let bytes = 0;
    const elsewhere = createServer((socket) => {
      socket
        .on('error', () => {})
        .on('data', (chunk) => {
          bytes += chunk.length;
        });
    }).listen(0, '127.0.0.2');
    await once(elsewhere, 'listening');
    opened.push({ close: () => new Promise((resolve) => elsewhere.close(resolve)) });
    const { port } = elsewhere.address() as { port: number };
    const rig = await startRig({ dialer: () => connect({ host: '127.0.0.2', port }) });
    const error = await failureOf(rig.send(`https://${NAME}:${port}/`));
    expect(error.type).toBe('ssrf_blocked');
    expect(error.publicMessage).not.toContain('127.');
    expect(error.detail).toContain('127.0.0.2');
    expect(bytes).toBe(0);
  });

  it.each([
    ['S111 expired', { expired: true }, 'expired'],
    ['S111 another name', { names: ['other.example.com'] }, 'another name'],
    [
      'no TLS 1.2',
      { tls: { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } },
      'TLS',
    ],
    ['HTTP/2 only', { tls: { ALPNProtocols: ['h2'] } }, 'HTTP/1.1'],
  ] as const)('%s', async (_what, options, text) => {
    const rig = await startRig();
    const upstream = await startUpstream(options as Partial<TlsUpstreamOptions>);
    const error = await failureOf(rig.send(`${upstream.url}/`));
    expect(error.type).toBe('upstream_tls_error');
    expect(error.publicMessage).toContain(text);
    expect(upstream.requests).toEqual([]);
  });

  it('S111 an authority that nobody named', async () => {
    const rig = await startRig({ extraCaPem: null });
    const upstream = await startUpstream();
    const error = await failureOf(rig.send(`${upstream.url}/`));
    expect([error.type, upstream.requests.length]).toEqual(['upstream_tls_error', 0]);
  });

  it('a refused name is refused again, however the session was kept', async () => {
    const rig = await startRig();
    const upstream = await startUpstream({ names: ['other.example.com'], tls: { maxVersion: 'TLSv1.2' } });
    for (let i = 0; i < 3; i++) {
      expect((await failureOf(rig.send(`${upstream.url}/`))).type).toBe('upstream_tls_error');
    }
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('%s sessions are resumed', async (maxVersion) => {
    const rig = await startRig();
    const resumed: boolean[] = [];
    const upstream = await startUpstream({
      tls: { maxVersion },
      handler: (request, response) => {
        resumed.push((request.socket as TLSSocket).isSessionReused());
        response.setHeader('connection', 'close');
        response.end('x');
      },
    });
    for (let i = 0; i < 3; i++) {
      await rig.send(`${upstream.url}/`);
      await until(() => upstream.openConnectionCount() === 0);
    }
    expect(resumed).toEqual([false, true, true]);
    rig.clock.advance(3_600_000);
    await rig.send(`${upstream.url}/`);
    expect(resumed[3]).toBe(false);
  });

  it('the next judged address is tried when one refuses, or says nothing for 3 s', async () => {
    const dialled: string[] = [];
    const dialer: Dialer = (target) => {
      dialled.push(target.address);
      if (target.address === '127.0.0.8') return new Socket();
      return target.address === '127.0.0.9' ? new Socket().destroy(new Error('refused')) : tcpDialer(target);
    };
    const rig = await startRig({ dialer });
    rig.dns.set(NAME, ['127.0.0.9', '127.0.0.8', '127.0.0.1']);
    const upstream = await startUpstream({ handler: echo });
    const call = rig.send(`${upstream.url}/`, { method: 'POST', body: Readable.from([Buffer.from('once')]) });
    await until(() => dialled.length === 2);
    rig.clock.advance(3_000);
    expect((await call).body.toString()).toBe('once');
    expect(dialled).toEqual(['127.0.0.9', '127.0.0.8', '127.0.0.1']);
    // The connection that was made is the one that is kept.
    await rig.send(`${upstream.url}/`);
    expect(dialled).toHaveLength(3);
  });
});

describe('connections', () => {
  it('are kept and used again, by one tenant only', async () => {
    const rig = await startRig();
    const upstream = await startUpstream();
    for (let i = 0; i < 3; i++) await rig.send(`${upstream.url}/`);
    expect(upstream.connectionCount()).toBe(1);
    await rig.send(`${upstream.url}/`, { tenantSlug: 'globex' });
    expect(upstream.connectionCount()).toBe(2);
  });

  it('S97 the old connection serves while the judged answer holds; idle ones end within 60 s', async () => {
    const rig = await startRig();
    const upstream = await startUpstream();
    await rig.send(`${upstream.url}/`);
    rig.dns.set(NAME, ['10.0.0.1']);
    rig.clock.advance(30_000);
    await rig.send(`${upstream.url}/`);
    expect(upstream.connectionCount()).toBe(1);
    rig.clock.advance(30_000);
    expect((await failureOf(rig.send(`${upstream.url}/`))).type).toBe('ssrf_blocked');
    expect(upstream.openConnectionCount()).toBe(1);
    rig.clock.advance(30_000);
    await until(() => upstream.openConnectionCount() === 0);
  });

  it('one that the upstream closed while idle is replaced, and the body goes once', async () => {
    const rig = await startRig();
    const upstream = await startUpstream({ handler: echo });
    await rig.send(`${upstream.url}/`);
    upstream.dropConnections();
    await until(() => upstream.openConnectionCount() === 0);
    await turns();
    const answer = await rig.send(`${upstream.url}/`, {
      method: 'POST',
      body: Readable.from([Buffer.from('body')]),
    });
    expect(answer.body.toString()).toBe('body');
    expect(upstream.requests.map(({ method }) => method)).toEqual(['GET', 'POST']);
  });

  it('one that ends after its answer is not mistaken for a kept one', async () => {
    const rig = await startRig();
    const upstream = await startUpstream({
      handler: (request, response) => {
        response.setHeader('connection', 'close');
        echo(request, response);
      },
    });
    for (let i = 0; i < 5; i++) {
      const body = Readable.from([Buffer.from(`body ${i}`)]);
      expect((await rig.send(`${upstream.url}/`, { method: 'POST', body })).body.toString()).toBe(
        `body ${i}`,
      );
    }
    expect([upstream.requests.length, upstream.connectionCount()]).toEqual([5, 5]);
  });

  it('no second attempt once a byte was sent', async () => {
    const rig = await startRig();
    let heads = 0;
    const upstream = await startUpstream({
      onSocket: (socket) =>
        socket.once('data', () => {
          heads++;
          socket.destroy();
        }),
    });
    expect((await failureOf(rig.send(`${upstream.url}/`))).type).toBe('upstream_unreachable');
    expect(heads).toBe(1);
  });

  it('each call in flight has its own, and close ends them all', async () => {
    const rig = await startRig();
    const held: ServerResponse[] = [];
    const upstream = await startUpstream({ handler: (_request, response) => void held.push(response) });
    const calls = Array.from({ length: 20 }, () => rig.send(`${upstream.url}/`));
    await until(() => held.length === 20);
    expect(upstream.openConnectionCount()).toBe(20);
    for (const response of held) response.end();
    await Promise.all(calls);
    await rig.egress.close();
    await until(() => upstream.openConnectionCount() === 0);
  });
});
