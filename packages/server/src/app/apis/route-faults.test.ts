import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { callRoute, errorType, type RouteAnswer } from '../../testing/route-calls.js';
import { createTestCa, startTlsUpstream, type TlsUpstream } from '../../testing/tls-upstream.js';
import { startWholeServer, type WholeServer } from '../../testing/whole-server.js';

const SECRET = 'sk-live-0123456789';
const RAW_HOST = 'raw.example.com';
let server: WholeServer;
let raw: TlsUpstream;
let onRequest: (socket: TLSSocket, head: string) => void;

beforeAll(async () => {
  const ca = await createTestCa();
  raw = await startTlsUpstream({
    ca,
    names: [RAW_HOST],
    onSocket: (socket) => {
      let head = '';
      let isAnswered = false;
      socket.on('data', (chunk) => {
        head += chunk.toString('latin1');
        if (isAnswered || !head.includes('\r\n\r\n')) return;
        isAnswered = true;
        onRequest(socket, head);
      });
    },
  });
  server = await startWholeServer({ ca, records: { [RAW_HOST]: ['127.0.0.1'] } });
  await api('POST', '/v1/secrets', { name: 'KEY', value: SECRET });
  const inject = { inject_headers_json: { 'x-key': '{{secret:KEY}}' } };
  await api('POST', '/v1/routes', {
    name: 'raw',
    slug: 'raw',
    target_base_url: `https://${RAW_HOST}:${raw.port}`,
    ...inject,
  });
  await api('POST', '/v1/routes', {
    name: 'sound',
    slug: 'sound',
    target_base_url: server.target,
    ...inject,
  });
  await api('POST', '/v1/routes', { name: 'bare', slug: 'bare', target_base_url: server.target });
});
afterAll(async () => {
  await server.close();
  await raw.close();
});
afterEach(() => {
  server.answer = null;
});

async function api(method: string, path: string, body: object) {
  const { status, json } = await server.api(method, path, body);
  if (status >= 300) throw new Error(JSON.stringify(json));
  return json.data;
}

/** The answer, or that the connection broke. */
async function outcome(path: string): Promise<RouteAnswer | 'broken'> {
  try {
    return await callRoute(server, path, { headers: { 'accept-encoding': 'gzip, br' } });
  } catch {
    return 'broken';
  }
}

const noneOpen = () => expect.poll(() => raw.openConnectionCount()).toBe(0);

const OK = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n';

interface Fault {
  readonly name: string;
  readonly does: (socket: TLSSocket) => void;
  readonly answer: [status: number, typeOrText: string] | 'broken';
}

const FAULTS: readonly Fault[] = [
  {
    name: 'a reset before the head',
    does: (socket) => socket.destroy(),
    answer: [502, 'upstream_unreachable'],
  },
  {
    name: 'a half-close before the head',
    does: (socket) => socket.end(),
    answer: [502, 'upstream_unreachable'],
  },
  {
    name: 'a head that is none',
    does: (socket) => socket.end(`${SECRET}\r\n\r\n`),
    answer: [502, 'upstream_unreachable'],
  },
  {
    name: 'two lengths',
    does: (socket) => socket.end(`${OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`),
    answer: [502, 'upstream_unreachable'],
  },
  {
    name: 'a reset within the body',
    does: (socket) => socket.write(`${OK}Content-Length: 100000\r\n\r\nab`, () => socket.destroy()),
    answer: 'broken',
  },
  {
    name: 'a half-close within the body',
    does: (socket) => socket.end(`${OK}Content-Length: 100000\r\n\r\nab`),
    answer: 'broken',
  },
  {
    name: 'a half-close within a chunk',
    does: (socket) => socket.end(`${OK}Transfer-Encoding: chunked\r\n\r\nff\r\nab`),
    answer: 'broken',
  },
  {
    name: 'more than its length',
    does: (socket) => socket.end(`${OK}Content-Length: 2\r\nConnection: close\r\n\r\nab${SECRET}`),
    answer: [200, 'ab'],
  },
  {
    name: 'trailers',
    does: (socket) =>
      socket.end(
        `${OK}Connection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nab\r\n0\r\nX-T: ${SECRET}\r\n\r\n`,
      ),
    answer: [200, 'ab'],
  },
  {
    name: 'answers of 1xx before its own',
    does: (socket) =>
      socket.end(
        `HTTP/1.1 103 Early Hints\r\nLink: <${SECRET}>\r\n\r\n${OK}Connection: close\r\nContent-Length: 2\r\n\r\nab`,
      ),
    answer: [200, 'ab'],
  },
  {
    // The HTTP client takes a 100 that it did not ask for as a broken answer: refused, and the connection with it.
    name: 'a 100 that nobody asked for',
    does: (socket) => socket.end(`HTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 2\r\n\r\nab`),
    answer: [502, 'upstream_unreachable'],
  },
  {
    name: 'a body that ends with its connection',
    does: (socket) => socket.end(`${OK}\r\nab`),
    answer: [200, 'ab'],
  },
  {
    name: 'the secret, cut in two',
    does: (socket) =>
      socket.write(`${OK}\r\nx${SECRET.slice(0, 8)}`, () => setImmediate(() => socket.end(SECRET.slice(8)))),
    answer: [200, 'x[SECRET]'],
  },
  {
    name: 'the secret in a header',
    does: (socket) =>
      socket.end(`${OK}X-Echo: ${SECRET}\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab`),
    answer: [200, 'ab'],
  },
  {
    name: 'a body that is not the gzip it says',
    does: (socket) => socket.end(`${OK}Content-Encoding: gzip\r\nConnection: close\r\n\r\n${SECRET}`),
    answer: [502, 'redaction_failed'],
  },
];

describe('an upstream that sends', () => {
  it.each(FAULTS)('$name', async ({ does, answer }) => {
    onRequest = does;
    const got = await outcome('/proxy/raw/x');
    if (got === 'broken' || answer === 'broken') expect(got).toBe(answer);
    else expect([got.status, errorType(got) ?? got.text]).toEqual(answer);
    if (got !== 'broken') expect(JSON.stringify(got)).not.toContain(SECRET);
    await noneOpen();
  });
});

/** The longest wait passes when a test says so: timers of that length fire then, and the clock has gone on by it. */
function createWait() {
  const waiting = new Set<() => void>();
  const { setTimer, monotonicMs } = systemClock;
  let aheadMs = 0;
  vi.spyOn(systemClock, 'monotonicMs').mockImplementation(() => monotonicMs() + aheadMs);
  vi.spyOn(systemClock, 'setTimer').mockImplementation((delayMs, callback) => {
    if (delayMs !== LIMITS.upstreamTimeoutMaxMs) return setTimer(delayMs, callback);
    waiting.add(callback);
    return () => void waiting.delete(callback);
  });
  return {
    passes() {
      aheadMs += LIMITS.upstreamTimeoutMaxMs;
      for (const callback of [...waiting]) if (waiting.delete(callback)) callback();
    },
  };
}

describe('an upstream that is slow', () => {
  let wait: ReturnType<typeof createWait>;
  beforeAll(() => {
    wait = createWait();
  });
  afterAll(() => {
    vi.restoreAllMocks();
  });

  const held = async (bytes: string) => {
    const arrived = new Promise<TLSSocket>((resolve) => {
      onRequest = (socket) => {
        if (bytes === '') resolve(socket);
        else socket.write(bytes, () => resolve(socket));
      };
    });
    const answer = outcome('/proxy/raw/x');
    return { socket: await arrived, answer };
  };

  it.each([
    ['with the first byte', ''],
    ['within the first line', 'HTTP/1.1 20'],
    ['within the headers', `${OK}X-Slow: a`],
    ['behind an answer of 1xx', `HTTP/1.1 103 Early Hints\r\nLink: <${SECRET}>\r\n\r\n`],
  ])('%s is given up after 30 s: 504', async (_where, bytes) => {
    const { answer } = await held(bytes);
    wait.passes();
    const got = await answer;
    if (got === 'broken') throw new Error('no answer');
    expect([got.status, errorType(got)]).toEqual([504, 'upstream_timeout']);
    expect(got.headers).not.toHaveProperty('x-knox-upstream-status');
    expect(JSON.stringify(got)).not.toContain(SECRET);
    await noneOpen();
  });

  it('byte by byte, and ends its headers in time, is passed on', async () => {
    const { socket, answer } = await held('');
    for (const byte of `${OK}Connection: close\r\nContent-Length: 2\r\n\r\nab`) {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await answer).toMatchObject({ status: 200, text: 'ab' });
    socket.end();
    await noneOpen();
  });

  it('within its body is given up after 30 s without a byte: the connection breaks', async () => {
    const request = httpRequest({
      host: '127.0.0.1',
      port: server.port,
      agent: false,
      path: '/proxy/raw/x',
      headers: { 'x-knoxcall-key': server.bootstrap.live_api_key },
    });
    onRequest = (socket) => socket.write(`${OK}Content-Length: 100000\r\n\r\n${'a'.repeat(5_000)}`);
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    await once(response, 'data');
    const broken = new Promise<void>((resolve) => response.on('error', () => resolve()));
    response.resume();
    wait.passes();
    await broken;
    await noneOpen();
  });
});

describe('a client that leaves', () => {
  it.each([
    ['before the head', ''],
    ['within the body', `${OK}Content-Length: 100000\r\n\r\nab`],
  ])('%s takes the upstream’s connection with it', async (_when, bytes) => {
    const arrived = new Promise<void>((resolve) => {
      onRequest = (socket) => {
        socket.write(bytes);
        resolve();
      };
    });
    const request = httpRequest({
      host: '127.0.0.1',
      port: server.port,
      agent: false,
      path: '/proxy/raw/x',
      headers: { 'x-knoxcall-key': server.bootstrap.live_api_key },
    });
    request.on('error', () => {}).end();
    await arrived;
    if (bytes !== '') await once(request, 'response');
    request.destroy();
    await noneOpen();
  });
});

describe('100-continue', () => {
  const invited = async (path: string, key: string) => {
    const request = httpRequest({
      host: '127.0.0.1',
      port: server.port,
      agent: false,
      method: 'POST',
      path,
      headers: {
        'x-knoxcall-key': key,
        expect: '100-continue',
        'content-length': 4,
        'content-type': 'text/plain',
      },
    });
    let isInvited = false;
    request.on('continue', () => {
      isInvited = true;
      request.end('body');
    });
    request.flushHeaders();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    request.destroy();
    return [response.statusCode, isInvited];
  };

  it('comes after the checks, and not to who is refused', async () => {
    expect(await invited('/proxy/bare/x', server.bootstrap.live_api_key)).toEqual([200, true]);
    expect(await invited('/proxy/none/x', server.bootstrap.live_api_key)).toEqual([404, false]);
    expect(await invited('/proxy/bare/x', 'tk_live_a_b')).toEqual([401, false]);
  });
});

describe('an encoded answer', () => {
  const text = JSON.stringify({ echo: SECRET, card: '4111111111111111' });
  const encodings = [
    ['gzip', gzipSync(text)],
    ['br', brotliCompressSync(text)],
  ] as const;
  const respond = (encoding: string, bytes: Buffer) => {
    server.answer = (_request, response) =>
      void response
        .setHeader('content-type', 'application/json')
        .setHeader('content-encoding', encoding)
        .end(bytes);
  };

  it.each(encodings)('%s passes as it is where nothing is looked for', async (encoding, bytes) => {
    respond(encoding, bytes);
    const response = await fetch(`http://127.0.0.1:${server.port}/proxy/bare/x`, {
      headers: { 'x-knoxcall-key': server.bootstrap.live_api_key },
    });
    expect([response.headers.get('content-encoding'), await response.text()]).toEqual([encoding, text]);
  });

  it.each(encodings)('%s is opened where a secret was sent', async (encoding, bytes) => {
    respond(encoding, bytes);
    const got = await callRoute(server, '/proxy/sound/x');
    expect(JSON.parse(got.text)).toEqual({ echo: '[SECRET]', card: '4111111111111111' });
    expect(got.headers).not.toHaveProperty('content-encoding');
  });

  it.each(encodings)('%s is opened for a redaction rule', async (encoding, bytes) => {
    const rule = await api('POST', '/v1/redaction-rules', {
      name: `cards ${encoding}`,
      target: 'response',
      match: { type: 'builtin', value: 'pan' },
    });
    respond(encoding, bytes);
    const got = await callRoute(server, '/proxy/bare/x');
    expect(JSON.parse(got.text)).toEqual({ echo: SECRET, card: '[REDACTED]' });
    await server.api('DELETE', `/v1/redaction-rules/${rule.id}`);
  });
});
