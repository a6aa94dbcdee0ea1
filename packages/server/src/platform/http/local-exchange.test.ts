import { buffer } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { expect, it } from 'vitest';
import { createLocalExchange } from './local-exchange.js';

const of = (body: string) =>
  createLocalExchange({
    method: 'POST',
    url: '/x?a=1',
    rawHeaders: ['X-A', '1', 'x-a', '2', 'Content-Length', String(body.length)],
    body: Buffer.from(body),
  });

it('is read as a request that came over a connection', async () => {
  const { request } = of('the body');
  expect([request.method, request.url, request.complete]).toEqual(['POST', '/x?a=1', true]);
  expect(request.headers).toMatchObject({ 'x-a': '1, 2', 'content-length': '8' });
  expect((await buffer(request)).toString()).toBe('the body');
  expect(await buffer(of('').request)).toHaveLength(0);
});

it('is answered, and closes when it is', async () => {
  const { response } = of('');
  const isOver = finished(response);
  response.writeHead(201, { 'x-b': '1' });
  response.write(Buffer.alloc(1_000_000));
  response.end('more');
  await isOver;
  expect([response.statusCode, response.writableFinished, response.closed]).toEqual([201, true, true]);
});

it('is broken off as by a client that leaves', async () => {
  const { response, abort } = of('');
  response.writeHead(200);
  response.write('half');
  const closed = new Promise((resolve) => response.once('close', resolve));
  abort();
  await closed;
  expect([response.writableFinished, (response.errored as NodeJS.ErrnoException).code]).toEqual([
    false,
    'ECONNRESET',
  ]);
  abort();
});
