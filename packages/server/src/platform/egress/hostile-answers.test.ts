import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { isAppError } from '../../kernel/errors.js';
import { type EgressRig, startEgressRig, until } from '../../testing/egress-rig.js';
import { createTestCa, startTlsUpstream, type TestCa, type TlsUpstream } from '../../testing/tls-upstream.js';

const NAME = 'api.example.com';
const SAFE = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nsafe!';
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const EVIL = 'HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled';
const answerOf = (headers: string, body = 'ok') => `HTTP/1.1 200 OK\r\n${headers}\r\n\r\n${body}`;
const chunked = (body: string) => answerOf('transfer-encoding: chunked', body);

let ca: TestCa;
let rig: EgressRig;
let upstream: TlsUpstream;
beforeAll(async () => {
  ca = await createTestCa();
  rig = await startEgressRig({
    allowPrivateUpstreams: '127.0.0.0/8',
    extraCaPem: ca.caPem,
    records: { [NAME]: ['127.0.0.1'] },
  });
});
afterAll(() => rig.close());
afterEach(() => upstream.close());

/** Answers its first request so, and all others, on whatever connection, with `safe!`. */
async function hostile(first: string | ((socket: TLSSocket) => void)): Promise<void> {
  let requests = 0;
  upstream = await startTlsUpstream({
    ca,
    names: [NAME],
    onSocket: (socket) =>
      socket.on('data', () => {
        if (requests++ > 0) socket.write(SAFE);
        else if (typeof first === 'string') socket.write(first, 'latin1');
        else first(socket);
      }),
  });
}

/** Status and body, or the error's type and text. */
async function send(method = 'GET'): Promise<string> {
  try {
    const { status, body } = await rig.send(`https://${NAME}:${upstream.port}/`, { method });
    return `${status} ${body}`;
  } catch (error) {
    if (!isAppError(error)) throw error;
    return `${error.type}: ${error.publicMessage}`;
  }
}

const INVALID = 'upstream_unreachable: The answer of the upstream is not valid HTTP';
const TOO_LARGE = 'upstream_unreachable: The response headers of the upstream are too large';

describe('a second answer behind the first is nobody’s: the next call has a connection of its own', () => {
  it.each([
    ['a whole one', OK + EVIL, 'GET', '200 ok'],
    ['its first byte', `${OK}H`, 'GET', '200 ok'],
    ['half of its head', `${OK}HTTP/1.1 200 OK\r\nX: `, 'GET', '200 ok'],
    ['behind an empty line', `${OK}\r\n${EVIL}`, 'GET', '200 ok'],
    ['as the body of a HEAD', EVIL.replace('smuggled', EVIL), 'HEAD', '200 '],
    ['as the body of a 204', `HTTP/1.1 204 No Content\r\n\r\n${EVIL}`, 'GET', '204 '],
    [
      'as the body of a 204 with a length',
      `HTTP/1.1 204 No\r\ncontent-length: 5\r\n\r\n${EVIL}`,
      'GET',
      '204 ',
    ],
    ['as the body of a 304', `HTTP/1.1 304 No\r\ncontent-length: 5\r\n\r\n${EVIL}`, 'GET', '304 '],
    ['as the chunks of a 304', `HTTP/1.1 304 No\r\ntransfer-encoding: chunked\r\n\r\n${EVIL}`, 'GET', '304 '],
    ['behind one that closes', answerOf('connection: close\r\ncontent-length: 2') + EVIL, 'GET', '200 ok'],
    ['behind HTTP/1.0', OK.replace('1.1', '1.0') + EVIL, 'GET', '200 ok'],
    ['behind the last chunk', chunked('2\r\nok\r\n0\r\n\r\n') + EVIL, 'GET', '200 ok'],
  ])('%s', async (_what, raw, method, first) => {
    await hostile(raw);
    expect(await send(method)).toBe(first);
    expect(await send()).toBe('200 safe!');
    expect(upstream.connectionCount()).toBe(2);
  });

  it('one that comes while the connection is idle', async () => {
    let peer!: TLSSocket;
    await hostile((socket) => {
      peer = socket;
      socket.write(OK);
    });
    expect(await send()).toBe('200 ok');
    peer.write(EVIL);
    await until(() => upstream.openConnectionCount() === 0);
    expect(await send()).toBe('200 safe!');
  });
});

describe('an answer that is not plainly HTTP is 502, and its connection is given up', () => {
  it.each([
    [
      'a coding and a length',
      answerOf('transfer-encoding: chunked\r\ncontent-length: 2', '2\r\nok\r\n0\r\n\r\n'),
    ],
    ...['identity', 'gzip, chunked', 'chunked, gzip', 'xchunked', 'chunked\t', 'chunked, chunked'].map(
      (coding) => [
        `the coding ${JSON.stringify(coding)}`,
        answerOf(`transfer-encoding: ${coding}`, '2\r\nok\r\n0\r\n\r\n'),
      ],
    ),
    ...['+2', '', '0x2'].map((length) => [
      `the length ${JSON.stringify(length)}`,
      answerOf(`content-length: ${length}`),
    ]),
    ...[
      'x-a: b\x01c',
      'x-a: b\0c',
      'x-a: b\x7fc',
      'x-a: b\rc: d',
      'x-a: b\nset-cookie: evil=1',
      'x-a: b\r\n c',
    ].map((line) => [`the line ${JSON.stringify(line)}`, answerOf(`${line}\r\ncontent-length: 2`)]),
    ...['x-a : b', 'x a: b', ': b', 'x\xe9: b'].map((line) => [
      `the name ${JSON.stringify(line)}`,
      answerOf(`${line}\r\ncontent-length: 2`),
    ]),
    ...['1000', '20', '2e2', '-200'].map((status) => [`the status ${status}`, OK.replace('200', status)]),
    ['bare LF throughout', OK.replaceAll('\r\n', '\n')],
    ['HTTP/1.2', OK.replace('1.1', '1.2')],
    ['HTTP/0.9', 'ok'],
    ['ICY', OK.replace('HTTP/1.1', 'ICY')],
  ])('%s', async (_what, raw) => {
    await hostile(raw!);
    expect(await send()).toBe(INVALID);
    expect(await send()).toBe('200 safe!');
    expect(upstream.connectionCount()).toBe(2);
  });

  it.each([
    ['a header of 70,000 bytes', answerOf(`x: ${'a'.repeat(70_000)}\r\ncontent-length: 2`)],
    ['1,001 headers', answerOf(`${'a:\r\n'.repeat(1_000)}content-length: 2`)],
    ['60,000 headers', answerOf(`${'a:\r\n'.repeat(60_000)}content-length: 2`)],
  ])('%s', async (_what, raw) => {
    await hostile(raw);
    expect(await send()).toBe(TOO_LARGE);
    expect(await send()).toBe('200 safe!');
  });

  it('1,000 headers pass', async () => {
    await hostile(answerOf(`${'a:\r\n'.repeat(999)}content-length: 2`));
    expect(await send()).toBe('200 ok');
  });

  it.each(['zz', '-2', 'FFFFFFFFFFFFFFFFF2', '2 ', '2\n', ''])('a chunk of size %j', async (size) => {
    await hostile(chunked(`${size}\r\nok\r\n0\r\n\r\n`));
    expect(await send()).toBe(INVALID);
    expect(await send()).toBe('200 safe!');
  });

  it.each([
    ['a chunk that does not end', chunked('2\r\nokXX0\r\n\r\n'), INVALID],
    ['a trailer of 70,000 bytes', chunked(`2\r\nok\r\n0\r\nx: ${'a'.repeat(70_000)}\r\n\r\n`), TOO_LARGE],
  ])('%s', async (_what, raw, failure) => {
    await hostile(raw);
    expect(await send()).toBe(failure);
    expect(await send()).toBe('200 safe!');
  });
});

describe('interim answers', () => {
  it('are passed over, 5,000 of them too', async () => {
    await hostile('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'.repeat(5_000) + OK);
    expect(await send()).toBe('200 ok');
    expect(await send()).toBe('200 safe!');
  });

  it('that never end, end with the clock of the call', async () => {
    let written = 0;
    await hostile((socket) => {
      const flood = () => {
        if (socket.destroyed) return;
        written++;
        socket.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(100), () => setImmediate(flood));
      };
      flood();
    });
    const answer = send();
    await until(() => written > 20);
    rig.clock.advance(25_000);
    expect(await answer).toBe('upstream_timeout: The upstream did not answer in time');
    await until(() => upstream.openConnectionCount() === 0);
    expect(await send()).toBe('200 safe!');
  });
});
