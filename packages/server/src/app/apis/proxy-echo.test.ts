import { once } from 'node:events';
import type { IncomingMessage, RequestListener } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type ProxyFixture, startProxyFixture, VALUES } from '../../testing/proxy-fixture.js';

const PAN = VALUES['acme']!['tok_pan']!;

let proxy: ProxyFixture;
beforeAll(async () => {
  proxy = await startProxyFixture();
});
afterAll(() => proxy.close());
afterEach(() => proxy.reset());

const withToken = {
  method: 'POST',
  headers: { 'content-type': 'application/json', 'accept-encoding': 'gzip' },
  body: '{"pan":"{{ token: cards.tok_pan }}"}',
};

/** What the upstream was asked for. */
let accepted: string | string[] | undefined;

function answering(headers: Record<string, string>, body: string | Buffer, status = 200): RequestListener {
  return (request, response) => {
    accepted = request.headers['accept-encoding'];
    request.resume();
    response.writeHead(status, headers).end(body);
  };
}

const json = { 'content-type': 'application/json' };

describe('a value that the upstream sends back', () => {
  test('is the token again, counted in the head and in the log row', async () => {
    const body = `{"pan":"${PAN}","n":${PAN}}`;
    proxy.upstream = answering({ ...json, 'content-length': String(body.length), etag: '"1"' }, body);
    const answer = await proxy.call(withToken);
    expect([answer.status, answer.body.toString()]).toEqual([200, '{"pan":"tok_pan","n":null}']);
    expect(answer.headers['x-knox-echo-guarded']).toBe('2');
    expect(answer.headers).not.toHaveProperty('etag');
    expect((await proxy.row()).echo).toEqual({ guarded: 2, notGuarded: 0 });
    expect(accepted).toBe('identity');
  });

  test('in a head alone', async () => {
    const location = `https://x.example/?pan=${PAN}`;
    proxy.upstream = answering({ location, etag: '"1"', 'content-length': '0' }, '', 302);
    const answer = await proxy.call(withToken);
    expect(answer.headers.location).toBe('https://x.example/?pan=tok_pan');
    expect([answer.headers['x-knox-echo-guarded'], answer.headers.etag]).toEqual(['1', '"1"']);
  });

  test('in a compressed answer', async () => {
    proxy.upstream = answering({ ...json, 'content-encoding': 'gzip' }, gzipSync(`["${PAN}"]`));
    const answer = await proxy.call(withToken);
    expect(answer.body.toString()).toBe('["tok_pan"]');
    expect(answer.headers).not.toHaveProperty('content-encoding');
    expect(answer.headers['x-knox-echo-guarded']).toBe('1');
  });

  test('in an answer whose head does not wait for its end: no count there, but in the log row', async () => {
    proxy.upstream = answering({ 'content-type': 'text/plain' }, `${'x'.repeat(200_000)} ${PAN} end`);
    const answer = await proxy.call(withToken);
    expect(answer.body.toString().slice(200_000)).toBe(' tok_pan end');
    expect(answer.headers).not.toHaveProperty('x-knox-echo-guarded');
    expect((await proxy.row()).echo).toEqual({ guarded: 1, notGuarded: 0 });
  });

  test('in a JSON document above what waits', async () => {
    proxy.upstream = answering(json, JSON.stringify(['x'.repeat(200_000), PAN]));
    const answer = await proxy.call(withToken);
    expect(answer.body.toString().slice(200_000)).toBe('xx","tok_pan"]');
    expect(answer.headers).not.toHaveProperty('x-knox-echo-guarded');
  });

  test('in an event, which is not held back', async () => {
    let finish!: () => void;
    proxy.upstream = (request, response) => {
      request.resume();
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: {"pan":"${PAN}"}\n\n`);
      finish = () => response.end(`data: ${PAN}\n\n`);
    };
    const request = proxy.open(withToken);
    request.end(withToken.body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const [event] = (await once(response, 'data')) as [Buffer];
    expect(event.toString()).toBe('data: {"pan":"tok_pan"}\n\n');
    finish();
    const [last] = (await once(response, 'data')) as [Buffer];
    expect(last.toString()).toBe('data: null\n\n');
  });
});

test('a value of a vault without the guard comes back as it is', async () => {
  proxy.upstream = answering(json, `["spoken aloud","${PAN}"]`);
  const body = '["{{ token: cards.tok_loud }}","{{ token: cards.tok_pan }}"]';
  const answer = await proxy.call({ ...withToken, body });
  expect(answer.body.toString()).toBe('["spoken aloud","tok_pan"]');
  expect((await proxy.row()).echo).toEqual({ guarded: 1, notGuarded: 1 });
});

describe('an answer without one', () => {
  test('keeps its head and its bytes', async () => {
    const body = '{"pan":"4111111111111112"}';
    proxy.upstream = answering({ ...json, 'content-length': String(body.length), etag: '"1"' }, body);
    const answer = await proxy.call(withToken);
    expect(answer.body.toString()).toBe(body);
    expect(answer.headers).toMatchObject({ 'content-length': String(body.length), etag: '"1"' });
    expect(answer.headers).not.toHaveProperty('x-knox-echo-guarded');
    expect((await proxy.row()).echo).toEqual({ guarded: 0, notGuarded: 0 });
  });

  test('is not looked into when it is binary', async () => {
    const body = Buffer.from(`\0${PAN}`);
    proxy.upstream = answering({ 'content-type': 'image/png', 'content-encoding': 'gzip' }, body);
    const answer = await proxy.call(withToken);
    expect(answer.body.equals(body)).toBe(true);
    expect(answer.headers['content-encoding']).toBe('gzip');
  });

  test('to a call that detokenizes nothing is not looked into', async () => {
    proxy.upstream = answering({ ...json, 'content-encoding': 'zzz' }, PAN);
    const answer = await proxy.call({ ...withToken, body: '{"a":1}' });
    expect([answer.status, answer.body.toString()]).toEqual([200, PAN]);
    expect((await proxy.row()).echo).toBeNull();
    expect(accepted).toBe('gzip');
  });
});

test.each([
  ['in another character set', { 'content-type': 'text/plain; charset=utf-16' }, 200, 'x'],
  ['a mark of UTF-16', { 'content-type': 'text/plain' }, 200, Buffer.from('\ufeffx', 'utf16le')],
  ['a part of a document', json, 206, '{'],
  ['compressed otherwise', { ...json, 'content-encoding': 'zzz' }, 200, 'x'],
  ['not compressed as it says', { ...json, 'content-encoding': 'gzip' }, 200, 'x'],
])('502: an answer that cannot be searched, %s', async (_, headers, status, body) => {
  proxy.upstream = answering(headers as Record<string, string>, body, status);
  const answer = await proxy.call(withToken);
  expect([answer.status, JSON.parse(answer.body.toString()).error.type]).toEqual([502, 'redaction_failed']);
  expect(await proxy.row()).toMatchObject({ statusCode: 502, error: 'redaction_failed' });
});
