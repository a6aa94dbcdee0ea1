import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startWholeServer, type WholeServer } from '../../testing/whole-server.js';

let server: WholeServer;
const sockets: Socket[] = [];
beforeAll(async () => {
  server = await startWholeServer();
});
afterAll(() => server.close());
afterEach(() => {
  server.answer = null;
  for (const socket of sockets.splice(0)) socket.destroy();
});

const LINE = 'POST /v1/proxy HTTP/1.1';
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const LAST_CHUNK = '0\r\n\r\n';

/** A request that is forwarded once the rest of its head and its body are right. */
function front(rest: string, line = LINE): string {
  const { live_api_key: key } = server.bootstrap;
  return `${line}\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nX-Knox-Proxy-URL: ${server.target}/front\r\n${rest}`;
}

/** What an attacker wants to be taken for the next request. */
const smuggled = () => front('\r\n', 'GET /v1/proxy HTTP/1.1').replace('/front', '/smuggled');

interface Received {
  readonly statuses: readonly string[];
  readonly text: string;
  /** What the upstream got meanwhile. */
  readonly forwarded: readonly string[];
}

async function dial(): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  sockets.push(socket.on('error', () => {}));
  await once(socket, 'connect');
  return socket;
}

/** Sends bytes, and no more where it `isAll`, and waits until the server ends the connection. */
async function converse(text: string, isAll = false): Promise<Received> {
  const before = server.upstream.requests.length;
  const socket = await dial();
  let received = '';
  socket.on('data', (data) => {
    received += data.toString('latin1');
  });
  // Not `once`, which would throw for a connection that is reset behind its answer.
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.write(Buffer.from(text, 'latin1'));
  if (isAll) socket.end();
  await closed;
  return {
    statuses: [...received.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status!),
    text: received,
    forwarded: server.upstream.requests.slice(before).map(({ method, url }) => `${method} ${url}`),
  };
}

function expectRefused({ statuses, text, forwarded }: Received, status = '400', type = 'validation_error') {
  expect(forwarded).toEqual([]);
  expect(statuses).toEqual([status]);
  const { error } = JSON.parse(text.slice(text.indexOf('\r\n\r\n')));
  expect(error).toEqual({ type, message: expect.any(String), request_id: expect.any(String) });
  expect(text.toLowerCase()).toContain('\r\nconnection: close\r\n');
  expect(text.toLowerCase()).not.toContain('x-knox-destination-status');
}

const repeat = (count: number, line: string) => line.repeat(count);

describe('a message whose end is in doubt is refused, and what follows it is not carried out', () => {
  const withoutBody: [string, () => string][] = [
    ['P01 a length and a coding', () => front(`Content-Length: 5\r\n${CHUNKED}\r\n${LAST_CHUNK}`)],
    ['P01 a coding and a length', () => front(`${CHUNKED}Content-Length: 5\r\n\r\n${LAST_CHUNK}`)],
    ['two codings, two lines', () => front(`Transfer-Encoding: identity\r\n${CHUNKED}\r\n${LAST_CHUNK}`)],
    ['the coding twice', () => front(`${CHUNKED}${CHUNKED}\r\n${LAST_CHUNK}`)],
    ['a space before the colon', () => front(`Transfer-Encoding : chunked\r\n\r\n${LAST_CHUNK}`)],
    ['a tab before the colon', () => front(`Transfer-Encoding\t: chunked\r\n\r\n${LAST_CHUNK}`)],
    ['a space before the name', () => front(` Transfer-Encoding: chunked\r\n\r\n${LAST_CHUNK}`)],
    ['a folded coding', () => front(`Transfer-Encoding:\r\n chunked\r\n\r\n${LAST_CHUNK}`)],
    ['a folded header', () => front('X-A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}')],
    ['a coding behind a bare LF', () => front(`X-A: b\n${CHUNKED}\r\n${LAST_CHUNK}`)],
    ['a coding behind a bare CR', () => front(`X-A: b\r${CHUNKED}\r\n${LAST_CHUNK}`)],
    ['a head that ends with a bare LF', () => front('Content-Length: 2\r\n\n{}')],
    ['bare LF throughout', () => front('Content-Length: 2\r\n\r\n{}').replaceAll('\r\n', '\n')],
    [
      'a coding in HTTP/1.0',
      () => front(`${CHUNKED}\r\n2\r\n{}\r\n${LAST_CHUNK}`, 'POST /v1/proxy HTTP/1.0'),
    ],
    [
      'a coding in HTTP/1.0, to be kept alive',
      () => front(`Connection: keep-alive\r\n${CHUNKED}\r\n${LAST_CHUNK}`, 'POST /v1/proxy HTTP/1.0'),
    ],
    ['two lengths', () => front('Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ')],
    ['the length twice', () => front('Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}')],
    ['a space before the colon of the length', () => front('Content-Length : 2\r\n\r\n{}')],
    ['chunk data without its end', () => front(`${CHUNKED}\r\n2\r\n{}\n${LAST_CHUNK}`)],
    ['chunk data longer than its size', () => front(`${CHUNKED}\r\n2\r\n{}}\r\n${LAST_CHUNK}`)],
    ['a last chunk that ends with bare LF', () => front(`${CHUNKED}\r\n2\r\n{}\r\n0\n\n`)],
    ['a trailer with a space in its name', () => front(`${CHUNKED}\r\n2\r\n{}\r\n0\r\nX a: b\r\n\r\n`)],
    ['a coding as trailer', () => front(`${CHUNKED}\r\n2\r\n{}\r\n0\r\n${CHUNKED}\r\n${LAST_CHUNK}`)],
    ['a length as trailer', () => front(`${CHUNKED}\r\n2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n`)],
    ...[
      ...['chunked, identity', 'identity, chunked', 'identity', 'gzip', 'chunked, chunked', 'chunked,', ''],
      ...['chunked;q=1', '"chunked"', 'xchunked', '\x0bchunked', 'chunked\t', 'chunked\0', 'chunked\r\n , x'],
    ].map((coding): [string, () => string] => [
      `P03 the coding ${JSON.stringify(coding)}`,
      () => front(`Transfer-Encoding: ${coding}\r\n\r\n${LAST_CHUNK}`),
    ]),
    ...[
      ...['+2', '-2', '2,2', '2, 2', '2 2', '0x2', '2.0', '2e0', '', '2;', '2\0', '\x0b2', '\xb2'],
      ...['18446744073709551618', '9'.repeat(400)],
    ].map((length): [string, () => string] => [
      `P02 the length ${JSON.stringify(length.slice(0, 24))}`,
      () => front(`Content-Length: ${length}\r\n\r\n{}`),
    ]),
    ...[
      ...['FFFFFFFFFFFFFFFFF2', '-2', '+2', '0x2', ' 2', '2 ', '2\t', '2_', '', '2;a\nb', '2;a=\0', '2\n'],
      `2;a=${'b'.repeat(17_000)}`,
    ].map((size): [string, () => string] => [
      `the chunk size ${JSON.stringify(size.slice(0, 24))}`,
      () => front(`${CHUNKED}\r\n${size}\r\n{}\r\n${LAST_CHUNK}`),
    ]),
  ];

  it.each(withoutBody)('%s', async (_what, request) => {
    expectRefused(await converse(request() + smuggled()));
  });

  it.each(withoutBody.slice(0, 3))('%s, at a path that there is not', async (_what, request) => {
    expectRefused(await converse(request().replace('/v1/proxy', '/nowhere') + smuggled()));
  });

  it.each(['/%zz', '/v1/%zz'])('the path %s, which is not even routed', async (path) => {
    const request = front(
      `Transfer-Encoding: identity, chunked\r\n\r\n${LAST_CHUNK}`,
      `POST ${path} HTTP/1.1`,
    );
    expectRefused(await converse(request + smuggled()));
  });

  it.each([
    ['its coding behind 2,500 other headers', 'a:b\r\n', 'Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n'],
    ['its length behind 2,500 other headers', 'a:b\r\n', 'Content-Length: 2\r\n\r\n{}'],
  ])('%s', async (_what, line, rest) => {
    const received = await converse(front(repeat(2_500, line) + rest) + smuggled());
    expectRefused(received, '431', 'headers_too_large');
  });

  it('behind a well-formed request, which gets its answer', async () => {
    const text =
      front('Content-Length: 2\r\n\r\n{}') + front(`Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n`);
    const { statuses, forwarded } = await converse(text + smuggled());
    expect(statuses).toEqual(['200', '400']);
    expect(forwarded).toEqual(['POST /front']);
  });

  it.each(['no HTTP\r\n\r\n', 'GET / HTTP/1.1\r\nHost : x\r\n\r\n'])(
    '%j behind two that are being answered: both have their answer, then it closes',
    async (malformed) => {
      const waiting: (() => void)[] = [];
      server.answer = (_request, response) => {
        waiting.push(() => response.end());
        if (waiting.length < 2) return;
        setImmediate(() => {
          for (const answer of waiting) answer();
        });
      };
      const { statuses, forwarded } = await converse(front('\r\n') + front('\r\n') + malformed + malformed);
      expect([statuses, forwarded]).toEqual([
        ['200', '200'],
        ['POST /front', 'POST /front'],
      ]);
    },
  );

  it('nor what follows a request that closes', async () => {
    const { statuses, forwarded } = await converse(front('Connection: close\r\n\r\n') + smuggled());
    expect([statuses, forwarded]).toEqual([['200'], ['POST /front']]);
  });

  it('in a body that is on its way: the upstream sees it broken off, not ended', async () => {
    const arrived = new Promise<'whole' | 'broken off'>((resolve) => {
      server.answer = (request) => {
        request.on('end', () => resolve('whole')).on('error', () => resolve('broken off'));
        request.on('data', () => socket.write('zz\r\n'));
      };
    });
    const socket = await dial();
    const answered = once(socket, 'data');
    socket.write(front(`X-Knox-Proxy-Mode: transparent\r\n${CHUNKED}\r\n5\r\nhello\r\n`));
    expect(await arrived).toBe('broken off');
    expect(String((await answered)[0])).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe('what is no request of HTTP/1.1 is refused', () => {
  const get = (line: string) => front('\r\n', line);
  it.each([
    'GET\t/v1/proxy HTTP/1.1',
    'GET /v1/proxy\tHTTP/1.1',
    'GET /v1/proxy HTTP/1.1 ',
    'GET /v1/proxy http/1.1',
    'GET /v1/proxy HTTP/1.2',
    'GET /v1/proxy HTTP/1.10',
    'GET /v1/proxy HTTP/2.0',
    'GET /v1/proxy HTTP/0.9',
    'GET /v1/proxy',
    'PRI * HTTP/2.0',
    'get /v1/proxy HTTP/1.1',
    'BREW /v1/proxy HTTP/1.1',
    'GET /v1/pro\0xy HTTP/1.1',
    'GET /v1/proxy?a=\x01 HTTP/1.1',
    'GET /v1/proxy?a=\xe9 HTTP/1.1',
    'GET /v1/proxy?a HTTP/1.1 b HTTP/1.1',
    'GET api.example.com:443 HTTP/1.1',
  ])('the line %j', async (line) => {
    expectRefused(await converse(get(line)));
  });

  it.each([
    ['GET http://x/v1/proxy HTTP/1.1', 'Connection: close\r\n\r\n'],
    ['GET https://api.example.com/ HTTP/1.1', 'Connection: close\r\n\r\n'],
    ['OPTIONS * HTTP/1.1', 'Connection: close\r\n\r\n'],
    ['SETUP /v1/proxy RTSP/1.0', '\r\n'],
    ['GET /v1/proxy HTTP/1.1', 'Host: y\r\nConnection: close\r\n\r\n'],
  ])('the line %j with %j', async (line, rest) => {
    expectRefused(await converse(front(rest, line)));
  });

  it('CONNECT is not even answered', async () => {
    const { text, forwarded } = await converse(get('CONNECT api.example.com:443 HTTP/1.1'));
    expect([text, forwarded]).toEqual(['', []]);
  });

  it.each(['a b', 'a,b', 'u@x', 'x/v1', 'x:y', '[::1', 'x?', 'h\xf6st'])('the host %j', async (host) => {
    const text = front('Connection: close\r\n\r\n', 'GET /v1/proxy HTTP/1.1');
    expectRefused(await converse(text.replace('Host: x', `Host: ${host}`)));
  });

  it('no host', async () => {
    expectRefused(await converse(front('Connection: close\r\n\r\n').replace('Host: x\r\n', '')));
  });

  it.each([
    'X-A: b\0c',
    'X-A: b\x01c',
    'X-A: b\x7fc',
    'X\0A: b',
    ': b',
    'XA',
    'X A: b',
    'X\xe9: b',
    'X(A): b',
  ])('the header %j', async (line) => {
    expectRefused(await converse(front(`${line}\r\nContent-Length: 2\r\n\r\n{}`) + smuggled()));
  });
});

describe('what is too large is 431, and nothing is sent', () => {
  it.each([
    ['a line', () => front('\r\n', `GET /v1/proxy?${'a'.repeat(33_000)} HTTP/1.1`)],
    ['a header', () => front(`X: ${'a'.repeat(33_000)}\r\n\r\n`)],
    ['headers together', () => front(`${repeat(330, `X: ${'a'.repeat(100)}\r\n`)}\r\n`)],
    ['1,001 headers', () => front(`${repeat(998, 'a:\r\n')}\r\n`)],
    ['30,000 short headers', () => front(`${repeat(30_000, 'a:\r\n')}\r\n`)],
    ['a trailer', () => front(`${CHUNKED}\r\n2\r\n{}\r\n0\r\nX: ${'a'.repeat(33_000)}\r\n\r\n`)],
    ['60,000 trailers', () => front(`${CHUNKED}\r\n2\r\n{}\r\n0\r\n${repeat(60_000, 'a:\r\n')}\r\n`)],
  ])('%s', async (_what, request) => {
    expectRefused(await converse(request()), '431', 'headers_too_large');
  });
});

describe('what only looks odd goes on, in a form that leaves no doubt', () => {
  it.each([
    ['upper case', 'Transfer-Encoding: CHUNKED\r\n\r\n2\r\n{}\r\n0\r\n\r\n'],
    ['a chunk extension', `${CHUNKED}\r\n2;a="b"\r\n{}\r\n000\r\n\r\n`],
    [
      'a trailer that names another target',
      `${CHUNKED}\r\n2\r\n{}\r\n0\r\nX-Knox-Proxy-URL: https://x.example/\r\n\r\n`,
    ],
    ['zeros before a length', 'Content-Length: 002\r\n\r\n{}'],
    ['1,000 headers', `${repeat(996, 'a:\r\n')}Content-Length: 2\r\n\r\n{}`],
  ])('%s', async (_what, rest) => {
    const { statuses, forwarded } = await converse(front(rest) + front('Connection: close\r\n\r\n'));
    expect([statuses, forwarded]).toEqual([
      ['200', '200'],
      ['POST /front', 'POST /front'],
    ]);
    const { rawHeaders } = server.upstream.requests.at(-2)!;
    const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
    expect(names.filter((name) => ['content-length', 'transfer-encoding'].includes(name))).toEqual([
      'content-length',
    ]);
  });

  it.each([
    ['', '\r\n'],
    [' with a body', 'Content-Length: 2\r\n\r\n{}'],
    [' with chunks', `${CHUNKED}\r\n2\r\n{}\r\n0\r\n\r\n`],
  ])('an upgrade%s is not made, and nothing is carried out behind it', async (_what, rest) => {
    const upgrade = front(`Connection: Upgrade\r\nUpgrade: h2c\r\n${rest}`);
    const inner = smuggled();
    // Another's request, whose head comes in one piece with the upgrade and is lost, and whose body comes later.
    const other = front(`Content-Length: ${inner.length}\r\n\r\n`);
    server.answer = (_request, response) => {
      sockets.at(-1)!.write(inner, () => setImmediate(() => response.end()));
    };
    const { statuses, text, forwarded } = await converse(upgrade + other);
    expect([statuses, forwarded]).toEqual([['200'], ['POST /front']]);
    expect(text.toLowerCase()).toContain('\r\nconnection: close\r\n');
    expect(server.upstream.requests.at(-1)!.rawHeaders.join().toLowerCase()).not.toContain('upgrade');
  });

  it.each([
    ['of a length', 'Content-Length: 10\r\n\r\n{}'],
    ['in chunks', `${CHUNKED}\r\n2\r\n{}\r\n`],
    ['in chunks, but for its last line end', `${CHUNKED}\r\n2\r\n{}\r\n0\r\n`],
  ])('half a body %s is not forwarded as a whole one', async (_what, rest) => {
    expectRefused(await converse(front(rest), true));
  });

  it('a request in the body of another is its body', async () => {
    const inner = smuggled();
    let body = '';
    server.answer = (request, response) => {
      request.on('data', (chunk) => {
        body += String(chunk);
      });
      request.on('end', () => response.end());
    };
    const head = `X-Knox-Proxy-Mode: transparent\r\nConnection: close\r\nContent-Length: ${inner.length}\r\n\r\n`;
    const { statuses, forwarded } = await converse(front(head, 'GET /v1/proxy HTTP/1.1') + inner);
    expect([statuses, forwarded, body]).toEqual([['200'], ['GET /front'], inner]);
  });
});
