import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type ProxyFixture, startProxyFixture } from '../../testing/proxy-fixture.js';

let proxy: ProxyFixture;
beforeAll(async () => {
  proxy = await startProxyFixture();
});
afterAll(() => proxy.close());
afterEach(() => {
  proxy.upstream = null;
  for (const list of [proxy.rows, proxy.seen]) list.length = 0;
});

const callTo = (path: string) =>
  'POST /v1/proxy HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tk_live_full\r\n' +
  `X-Knox-Proxy-URL: https://api.example.com/${path}\r\nContent-Type: application/json\r\n`;
const HEAD = callTo('first');
/** What an attacker hides behind a message whose end two peers see in different places. */
const HIDDEN = `${callTo('hidden')}Content-Length: 2\r\n\r\n{}`;

async function untilClosed(socket: Socket): Promise<string> {
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text;
  });
  socket.on('error', () => undefined);
  if (!socket.closed) await once(socket, 'close');
  return received;
}

describe('a request on which two peers could disagree is refused, and nothing of it goes on', () => {
  const length = (value: string) => `${HEAD}Content-Length: ${value}\r\n\r\n{}${HIDDEN}`;
  const chunks = (value: string) => `${HEAD}Transfer-Encoding: chunked\r\n\r\n${value}${HIDDEN}`;
  const coding = (value: string) => `${HEAD}Transfer-Encoding:${value}\r\n\r\n2\r\n{}\r\n0\r\n\r\n${HIDDEN}`;

  test.each([
    [
      'length, then coding',
      `${HEAD}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
    ],
    [
      'coding, then length',
      `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n${HIDDEN}`,
    ],
    ['two lengths', length('2\r\nContent-Length: 3')],
    ['the same length twice', length('2\r\nContent-Length: 2')],
    ...['+2', '-2', '2,2', '2, 3', '2 2', '0x2', '2;', '2.0', '1e1', '99999999999999999999999', '\x0b2'].map(
      (value) => [`length ${JSON.stringify(value)}`, length(value)],
    ),
    ...[
      ' xchunked',
      ' chunked, gzip',
      ' gzip, chunked',
      ' identity',
      ' chunked, identity',
      ' "chunked"',
      ' chunked;q=1',
      ' \x0bchunked',
      ' chunked\x0b',
      ' chunked\r\nTransfer-Encoding: identity',
      ' identity\r\nTransfer-Encoding: chunked',
      ' chunked\r\nTransfer-Encoding: x',
    ].map((value) => [`coding${JSON.stringify(value)}`, coding(value)]),
    ['a space before the colon', `${HEAD}Content-Length : 2\r\n\r\n{}${HIDDEN}`],
    [
      'a space before the colon of the coding',
      `${HEAD}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
    ],
    ['a space before a name', `${HEAD} Content-Length: 2\r\n\r\n{}${HIDDEN}`],
    ['a folded line', `${HEAD}X-A: b\r\n\tc\r\nContent-Length: 2\r\n\r\n{}${HIDDEN}`],
    ['a folded coding', coding('\r\n chunked')],
    ['bare line feeds', `${HEAD}Content-Length: 2\r\n\r\n{}${HIDDEN}`.replaceAll('\r\n', '\n')],
    ['a bare line feed in the head', `${HEAD}X-A: b\nContent-Length: 2\r\n\r\n{}${HIDDEN}`],
    ['a bare carriage return', `${HEAD}X-A: b\rContent-Length: 2\r\n\r\n{}${HIDDEN}`],
    ['NUL in a value', `${HEAD}X-A: b\0c\r\nContent-Length: 2\r\n\r\n{}${HIDDEN}`],
    ['NUL in a name', `${HEAD}X\0A: b\r\nContent-Length: 2\r\n\r\n{}${HIDDEN}`],
    ['NUL in the upstream credential', `${HEAD}X-Knox-Upstream-Authorization: a\0b\r\n\r\n`],
    ['a line without a colon', `${HEAD}Content-Length\r\n\r\n${HIDDEN}`],
    ['chunk size of 17 digits', chunks('fffffffffffffffff\r\n{}\r\n0\r\n\r\n')],
    ...['0x2', '+2', '-2', 'g', ' 2', '2 2', ''].map((size) => [
      `chunk size ${JSON.stringify(size)}`,
      chunks(`${size}\r\n{}\r\n0\r\n\r\n`),
    ]),
    ['a chunk longer than its size', chunks('1\r\n{}\r\n0\r\n\r\n')],
    ['a chunk that ends in a bare line feed', chunks('2\r\n{}\n0\r\n\r\n')],
    ['a chunk size that ends in a bare line feed', chunks('2\n{}\r\n0\r\n\r\n')],
    ['a chunk extension of 64 KiB', chunks(`2;a=${'b'.repeat(65_536)}\r\n{}\r\n0\r\n\r\n`)],
    ['a line feed in a chunk extension', chunks('2;a\nb\r\n{}\r\n0\r\n\r\n')],
    ['trailers of 64 KiB', chunks(`2\r\n{}\r\n0\r\nX-A: ${'b'.repeat(65_536)}\r\n\r\n`)],
    ['a request line of 64 KiB', HEAD.replace('/v1/proxy', `/v1/proxy?${'a'.repeat(65_536)}`)],
    ['a header of 64 KiB', `${HEAD}X-A: ${'b'.repeat(65_536)}\r\n\r\n`],
    ['20,000 headers', `${HEAD}${'A:\r\n'.repeat(20_000)}\r\n`],
    ['a whole URL as target', `${HEAD.replace('/v1/proxy', 'http://x/v1/proxy')}Connection: close\r\n\r\n`],
    ['HTTP/2 without TLS', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a version that is none', HEAD.replace('HTTP/1.1', 'HTTP/1.1x')],
  ])('%s', async (_name, text) => {
    const received = await untilClosed(await proxy.raw(text!));
    if (received !== '') expect(received).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(received.match(/HTTP\/1\.1 \d/g)?.length ?? 0).toBeLessThanOrEqual(1);
    expect(received.toLowerCase()).not.toContain('x-knox-destination-status');
    expect(proxy.seen).toEqual([]);
  });

  test('behind a good request the bad one is dropped, and the good one has its answer', async () => {
    const good = `${callTo('good')}Content-Length: 2\r\n\r\n{}`;
    const bad = `${HEAD}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`;
    await untilClosed(await proxy.raw(good + bad));
    expect(proxy.seen.map(({ url }) => url).filter((url) => url !== '/good')).toEqual([]);
  });
});

test('1,000 headers are read to the last, one more is 431 and never dropped unseen', async () => {
  const own = HEAD.split('\r\n').length - 2;
  const head = (count: number) =>
    `${HEAD}${'TE:\r\n'.repeat(count - own - 3)}Content-Length: 2\r\nX-Last: 1\r\nConnection: close\r\n\r\n{}`;
  expect(await untilClosed(await proxy.raw(head(1_000)))).toMatch(/^HTTP\/1\.1 200 /);
  expect(proxy.seen.pop()).toMatchObject({ headers: { 'x-last': '1', 'content-length': '2' } });
  expect(await untilClosed(await proxy.raw(head(1_001)))).toMatch(/^HTTP\/1\.1 431 .*headers_too_large/s);
  expect(await untilClosed(await proxy.raw(head(2_500)))).toMatch(/^HTTP\/1\.1 431 /);
  expect(proxy.seen).toEqual([]);
});

describe('an upstream that breaks the protocol harms its own answer only', () => {
  const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
  const answerRaw = (text: string) => {
    proxy.upstream = (request) => {
      proxy.upstream = null;
      request.resume();
      request.socket.write(text, 'latin1');
    };
  };
  const outcome = () =>
    proxy.call().then(
      ({ status, body }) => `${status} ${status === 502 ? JSON.parse(body.toString()).error.type : body}`,
      () => 'broken off',
    );

  test.each([
    ['a second answer behind the first', `${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged`, '200 ok'],
    ['bytes behind the answer', `${OK}forged`, '200 ok'],
    [
      'a body behind 204',
      'HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged',
      '204 ',
    ],
    [
      'length and coding',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      '502 upstream_unreachable',
    ],
    [
      'two lengths',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!',
      '502 upstream_unreachable',
    ],
    [
      'a chunk size that is none',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n',
      'broken off',
    ],
    ['no HTTP', 'hello\r\n\r\n', '502 upstream_unreachable'],
    [
      'headers of 1 MiB',
      `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(1_048_576)}\r\n\r\n`,
      '502 upstream_unreachable',
    ],
    [
      'NUL in a header',
      'HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 2\r\n\r\nok',
      '502 upstream_unreachable',
    ],
    [
      '10,000 interim answers',
      'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(10_000) + OK.replace('OK', 'OK\r\nConnection: close'),
      '200 ok',
    ],
  ])('%s', async (_name, text, expected) => {
    answerRaw(text);
    expect(await outcome()).toBe(expected);
    for (let i = 0; i < 3; i++) expect(await outcome()).toBe('200 {"ok":true}');
  });
});
