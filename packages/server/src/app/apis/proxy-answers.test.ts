import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { AppError } from '../../kernel/errors.js';
import { type ProxyFixture, REQUEST_ID, startProxyFixture } from '../../testing/proxy-fixture.js';

let proxy: ProxyFixture;
beforeAll(async () => {
  proxy = await startProxyFixture();
});
afterAll(() => proxy.close());
afterEach(() => proxy.reset());

const errorOf = (answer: { body: Buffer }) => JSON.parse(answer.body.toString()).error;

describe('what comes back', () => {
  test('status, headers and body, with our markers and without forged ones', async () => {
    proxy.upstream = (_request, response) => {
      response.writeHead(418, [
        'Content-Type',
        'text/plain',
        'Set-Cookie',
        'a=1',
        'Set-Cookie',
        'b=2',
        'X-Request-Id',
        'theirs',
        'X-Knox-Destination-Status',
        '200',
        'X-Knox-Other',
        'x',
        'Alt-Svc',
        'h3=":443"',
        'Connection',
        'X-Hop',
        'X-Hop',
        '1',
        'Proxy-Authenticate',
        'Basic',
        'X-Own',
        'v',
        'Content-Length',
        '2',
      ]);
      response.end('hi');
    };
    const answer = await proxy.call();
    expect(answer.status).toBe(418);
    expect(answer.body.toString()).toBe('hi');
    expect(answer.headers).toMatchObject({
      'x-knox-destination-status': '418',
      'x-request-id': REQUEST_ID,
      'x-knox-upstream-request-id': 'theirs',
      'x-own': 'v',
      'content-length': '2',
      'set-cookie': ['a=1', 'b=2'],
    });
    for (const name of ['x-knox-other', 'alt-svc', 'x-hop', 'proxy-authenticate']) {
      expect(answer.headers).not.toHaveProperty(name);
    }
  });

  test('a redirect is returned, not followed', async () => {
    proxy.upstream = (_request, response) =>
      response.writeHead(302, { location: '//169.254.169.254/' }).end();
    const answer = await proxy.call();
    expect([answer.status, answer.headers.location]).toEqual([302, '//169.254.169.254/']);
  });

  test.each<[string, Buffer]>([
    ['gzip', gzipSync('{"a":1}')],
    ['br', brotliCompressSync('{"a":1}')],
    // RFC 8878: a frame of one raw block.
    ['zstd', Buffer.from('28b52ffd2007390000' + '7b2261223a317d', 'hex')],
  ])('P17: an answer in %s passes unchanged, its headers too', async (coding, body) => {
    const sent = {
      'content-encoding': coding,
      'content-type': 'application/json',
      'content-length': String(body.length),
      etag: '"e"',
      vary: 'accept-encoding',
    };
    proxy.upstream = (_request, response) => response.writeHead(200, sent).end(body);
    for (const mode of [{}, { 'x-knox-proxy-mode': 'transparent' }] as Record<string, string>[]) {
      const answer = await proxy.call({ headers: { ...mode, 'accept-encoding': coding } });
      expect(answer.headers).toMatchObject(sent);
      expect(answer.body.equals(body)).toBe(true);
    }
  });

  test('P21: HEAD, 204 and 304 have no body', async () => {
    proxy.upstream = (request, response) => {
      const status = Number(new URL(request.url!, 'http://x').searchParams.get('s'));
      response.writeHead(status, status === 204 ? {} : { 'content-length': '5' });
      response.end(status === 200 ? 'hello' : undefined);
    };
    const head = await proxy.call({ method: 'HEAD', path: '/v1/proxy?s=200' });
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '5', 0]);
    for (const status of [204, 304]) {
      const answer = await proxy.call({ method: 'GET', path: `/v1/proxy?s=${status}` });
      expect([answer.status, answer.body.length]).toEqual([status, 0]);
    }
  });

  test('P18: a record is with the client before the upstream writes the next, and the head before the first', async () => {
    const steps: string[] = [];
    let clientHas!: () => void;
    const read = () =>
      new Promise<void>((resolve) => {
        clientHas = resolve;
      });
    let hasRead = read();
    proxy.upstream = async (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      await hasRead;
      for (const record of ['data: 1\n\n', 'data: 2\n\n']) {
        hasRead = read();
        steps.push('wrote');
        response.write(record);
        await hasRead;
      }
      response.end();
    };
    const request = proxy.open();
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    steps.push('head');
    clientHas();
    response.on('data', (chunk) => {
      steps.push(String(chunk).trim());
      clientHas();
    });
    await once(response, 'end');
    expect(steps).toEqual(['head', 'wrote', 'data: 1', 'wrote', 'data: 2']);
  });

  test('P20: an upstream that dies mid-body breaks the client’s stream', async () => {
    proxy.upstream = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.destroy());
    };
    const request = proxy.open();
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    await expect(once(response, 'end')).rejects.toThrow('aborted');
    expect(await proxy.row()).toMatchObject({ statusCode: 200, error: 'upstream_unreachable' });
  });

  test('an answer through redaction', async () => {
    proxy.plan = {
      hasBodyRules: true,
      body: [
        new Transform({ transform: (chunk, _encoding, done) => done(null, String(chunk).toUpperCase()) }),
      ],
    };
    proxy.upstream = (_request, response) => response.end('secret');
    const answer = await proxy.call();
    expect([answer.status, answer.body.toString()]).toEqual([200, 'SECRET']);
    expect(answer.headers['x-knox-destination-status']).toBe('200');
  });

  test('redaction that fails on the last byte is 502 and says so in the log row', async () => {
    proxy.plan = {
      hasBodyRules: true,
      body: [
        new Transform({
          transform: (_chunk, _encoding, done) => done(),
          flush: (done) => done(new AppError('redaction_failed', 'The answer cannot be inspected')),
        }),
      ],
    };
    const answer = await proxy.call();
    expect([answer.status, errorOf(answer).type]).toEqual([502, 'redaction_failed']);
    expect(proxy.rows.at(-1)).toMatchObject({ statusCode: 502, error: 'redaction_failed' });
  });

  test('a redacted answer is over when the client has it: one who leaves before is in the log row', async () => {
    proxy.plan = {
      hasBodyRules: true,
      body: [
        new Transform({
          transform: (_chunk, _encoding, done) => done(),
          flush: (done) => done(null, Buffer.alloc(20_000_000)),
        }),
      ],
    };
    proxy.upstream = (request, response) => {
      request.resume();
      response.write('of no declared length');
      response.end();
    };
    const request = proxy.open();
    request.on('error', () => {}).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.on('error', () => {});
    await sleep(100);
    expect(proxy.rows).toEqual([]);
    request.destroy();
    await vi.waitFor(() => expect(proxy.rows.at(-1)?.error).toBe('client_disconnected'));
  });

  test('a client that leaves takes its pipelined calls with it', async () => {
    let begun = 0;
    let closed = 0;
    proxy.upstream = (request, response) => {
      begun++;
      request.resume();
      response.on('close', () => closed++);
    };
    const one = (path: string) =>
      `GET /v1/proxy HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tk_live_full\r\nX-Knox-Proxy-URL: https://api.example.com/${path}\r\n\r\n`;
    const socket = await proxy.raw(one('a') + one('b') + one('c'));
    await vi.waitFor(() => expect(begun).toBe(3));
    socket.destroy();
    await vi.waitFor(() => expect(closed).toBe(3));
    await vi.waitFor(() =>
      expect(proxy.rows.map(({ error }) => error)).toEqual(Array(3).fill('client_disconnected')),
    );
  });

  test('the head of a pipelined call leaves when its turn comes, before its body', async () => {
    let endFirst = () => {};
    let isSecondBegun = false;
    proxy.upstream = (request, response) => {
      request.resume();
      if (request.url === '/first') endFirst = () => response.end('first');
      else if (request.url !== '/second') response.end();
      else {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
        isSecondBegun = true;
      }
    };
    const one = (path: string) =>
      `GET /v1/proxy HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tk_live_full\r\nX-Knox-Proxy-URL: https://api.example.com/${path}\r\n\r\n`;
    const socket = await proxy.raw(one('first') + one('second'));
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString();
    });
    await vi.waitFor(() => expect(isSecondBegun).toBe(true));
    // By then its head is there, too.
    await proxy.call();
    expect(received).toBe('');
    endFirst();
    await vi.waitFor(() => expect(received.match(/HTTP\/1\.1 200 /g)).toHaveLength(2));
    expect(received).toContain('text/event-stream');
    socket.destroy();
  });

  test('redaction that fails before its first byte is 502, after it a broken stream', async () => {
    const failure = () => new AppError('redaction_failed', 'The answer cannot be inspected');
    proxy.upstream = (_request, response) => response.end('body');
    proxy.plan = {
      hasBodyRules: true,
      body: [new Transform({ transform: (_c, _e, done) => done(failure()) })],
    };
    const answer = await proxy.call();
    expect([answer.status, errorOf(answer).type]).toEqual([502, 'redaction_failed']);
    expect(answer.headers).not.toHaveProperty('x-knox-destination-status');

    proxy.plan = {
      hasBodyRules: true,
      body: [
        new Transform({
          transform: (chunk, _e, done) => done(null, chunk),
          flush: (done) => done(failure()),
        }),
      ],
    };
    let finish!: () => void;
    proxy.upstream = (_request, response) => {
      response.write('body');
      finish = () => response.end();
    };
    const request = proxy.open();
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    await once(response, 'data');
    finish();
    await expect(once(response, 'end')).rejects.toThrow('aborted');
  });
});
