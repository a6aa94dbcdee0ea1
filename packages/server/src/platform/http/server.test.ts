import { connect } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { systemClock } from '../../kernel/clock.js';
import { AppError } from '../../kernel/errors.js';
import type { ApiKeyId, TenantId } from '../../kernel/ids.js';
import type { Principal } from '../../kernel/principal.js';
import { createLogger } from '../log/logger.js';
import { createRequestLog } from '../log/request-log.js';
import { type CallerSteps, createCallerSteps } from './caller.js';
import { writeErrorRaw } from './error-handler.js';
import { createHosts } from './hosts.js';
import { mountedRoutes } from './mounts.js';
import { registerRoutes } from './register-routes.js';
import { type RouteDefinition, route } from './route.js';
import { closeHttpServer, createHttpServer } from './server.js';

const principal: Principal = {
  kind: 'api_key',
  scope: { tenantId: 't' as TenantId, sandbox: false },
  tenantSlug: 'acme',
  apiKeyId: 'k' as ApiKeyId,
  keyId: 'tk_live_abcdefghijkl',
  userId: null,
  rateLimit: null,
  grants: [],
  may: (permission) => permission !== 'things:forbidden',
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Calls of this file have no idempotency key; those that do are in app/apis/idempotency.test.ts. */
const noKeys = { answer: () => Promise.reject(new Error('a call with an idempotency key')) };

const open: FastifyInstance[] = [];
afterEach(async () => {
  for (const app of open.splice(0)) await closeHttpServer(app, systemClock, 1_000);
});

/** A server whose every request with `x-api-key: good` is the principal above. */
function build(
  routes: RouteDefinition[],
  extend?: (app: FastifyInstance, auth: CallerSteps['tenant']) => void,
) {
  const lines: string[] = [];
  const sink = { write: (line: string) => lines.push(line) };
  const app = createHttpServer({
    logger: createLogger('info', sink),
    requestLog: createRequestLog('info', sink, systemClock),
    ids: { uuid: () => crypto.randomUUID() },
    clock: systemClock,
  });
  const steps = createCallerSteps({
    limits: { admit: () => null },
    hosts: createHosts({ baseDomain: 'localhost', publicUrl: null, customHosts: [] }),
    authenticator: {
      async authenticate(rawHeaders) {
        const at = rawHeaders.findIndex((name) => name.toLowerCase() === 'x-api-key');
        if (at === -1) throw new AppError('authentication_required', 'No credential');
        if (rawHeaders[at + 1] !== 'good') throw new AppError('invalid_api_key', 'Bad key');
        return principal;
      },
    },
  });
  app.register(async (scope) => registerRoutes(scope, mountedRoutes(routes), { steps, idempotency: noKeys }));
  extend?.(app, steps.tenant);
  open.push(app);
  return { app, lines, logged: () => lines.map((line) => JSON.parse(line)) };
}

const things = [
  route({
    method: 'POST',
    path: '/v1/things/:id',
    summary: 'Makes a thing',
    permission: 'things:write',
    audit: null,
    params: z.object({ id: z.string().max(300) }),
    query: z.object({ depth: z.coerce.number().int().min(1).optional() }),
    body: z.object({ name: z.string().min(1).max(5), inner: z.object({ tag: z.string() }).optional() }),
    response: z.object({ id: z.string(), name: z.string() }),
    status: 201,
    noStore: true,
    handle: async ({ params, body }) => ({ id: params.id, name: body.name, secret: 'canary' }),
  }),
  route({
    method: 'GET',
    path: '/v1/things',
    summary: 'Lists things',
    permission: null,
    audit: null,
    response: z.object({ id: z.string() }),
    answer: 'page',
    handle: async () => ({ rows: [{ id: 'a', secret: 'canary' }], total: 41, page: 3, perPage: 20 }),
  }),
  route({
    method: 'GET',
    path: '/v1/forbidden',
    summary: 'Needs what the key lacks',
    permission: 'things:forbidden',
    audit: null,
    response: z.object({}),
    handle: async () => ({}),
  }),
  route({
    method: 'GET',
    path: '/v1/broken',
    summary: 'Fails by a bug',
    permission: null,
    audit: null,
    response: z.object({ id: z.string() }),
    handle: async () => {
      throw new TypeError('canary of tk_live_abcdefghijkl_S3cret');
    },
  }),
  route({
    method: 'GET',
    path: '/v1/away',
    summary: 'Database away',
    permission: null,
    audit: null,
    response: z.object({}),
    handle: async () => {
      throw new AppError('dependency_unavailable', 'The database did not answer', {
        dependency: 'database',
        retryAfterSeconds: 2,
        detail: 'connect 10.0.0.7:5432',
      });
    },
  }),
];

const auth = { 'x-api-key': 'good', host: '127.0.0.1' };
const post = (over: object = {}) => ({
  method: 'POST' as const,
  url: '/v1/things/x',
  headers: { ...auth, 'content-type': 'application/json' },
  payload: JSON.stringify({ name: 'n' }),
  ...over,
});

describe('200 and 201', () => {
  it('answers data and meta, strips what the schema does not name', async () => {
    const { app } = build(things);
    const answer = await app.inject(post());
    expect(answer.statusCode).toBe(201);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.headers['x-request-id']).toMatch(UUID);
    expect(answer.json()).toEqual({
      data: { id: 'x', name: 'n' },
      meta: { request_id: answer.headers['x-request-id'] },
    });
  });

  it('answers a page', async () => {
    const { app } = build(things);
    const answer = await app.inject({ url: '/v1/things', headers: auth });
    expect(answer.json()).toEqual({
      data: [{ id: 'a' }],
      meta: { total: 41, page: 3, per_page: 20, total_pages: 3, request_id: answer.headers['x-request-id'] },
    });
  });

  it('answers a bare array with the request id alone', async () => {
    const list = route({
      method: 'GET',
      path: '/v1/all-things',
      summary: 'All things at once',
      permission: null,
      audit: null,
      response: z.array(z.object({ id: z.string() })),
      handle: async () => [{ id: 'a', secret: 'canary' }, { id: 'b' }],
    });
    const { app } = build([list]);
    const answer = await app.inject({ url: '/v1/all-things', headers: auth });
    expect(answer.json()).toEqual({
      data: [{ id: 'a' }, { id: 'b' }],
      meta: { request_id: answer.headers['x-request-id'] },
    });
  });

  it('answers HEAD of a GET route without a body', async () => {
    const { app } = build(things);
    const answer = await app.inject({ method: 'HEAD', url: '/v1/things', headers: auth });
    expect([answer.statusCode, answer.body]).toEqual([200, '']);
  });

  it('never takes an inbound request id, but logs it', async () => {
    const { app, logged } = build(things);
    const answer = await app.inject({ url: '/v1/things', headers: { ...auth, 'x-request-id': 'theirs' } });
    expect(answer.headers['x-request-id']).toMatch(UUID);
    expect(logged()[0]).toMatchObject({ inbound_request_id: 'theirs' });
  });

  it('writes one line without query, header or body', async () => {
    const { app, logged, lines } = build(things);
    await app.inject(post({ url: '/v1/things/x?depth=7' }));
    expect(logged()).toHaveLength(1);
    expect(logged()[0]).toMatchObject({
      method: 'POST',
      path: '/v1/things/x',
      status: 201,
      tenant: 'acme',
      key_id: 'tk_live_abcdefghijkl',
      msg: 'request',
    });
    expect(lines.join('')).not.toMatch(/depth|good|"n"/);
  });
});

describe('400', () => {
  const cases: [string, object, string[]][] = [
    ['a missing field', { payload: '{}' }, ['name']],
    [
      'every bad field at once',
      { url: '/v1/things/x?depth=0', payload: '{"name":"","inner":{"tag":1}}' },
      ['depth', 'name', 'inner.tag'],
    ],
    ['an unknown body field', { payload: '{"name":"n","role_ids":[]}' }, ['role_ids']],
    ['an unknown query field', { url: '/v1/things/x?nope=1' }, ['nope']],
    ['a body that is no object', { payload: '[1]' }, ['body']],
    ['a body that is null', { payload: 'null' }, ['body']],
    ['broken JSON', { payload: '{"name":' }, ['body']],
    ['NUL in the path', { url: '/v1/things/a%00b' }, ['id']],
    ['a credential in the query', { url: '/v1/things/x?access_token=abc' }, ['access_token']],
  ];
  it.each(cases)('%s', async (_, over, fields) => {
    const { app } = build(things);
    const answer = await app.inject(post(over));
    expect(answer.statusCode).toBe(400);
    expect(answer.json().error.type).toBe('validation_error');
    expect(Object.keys(answer.json().fields)).toEqual(fields);
  });

  it('an unknown version, before the credential', async () => {
    const { app } = build(things);
    const headers = { host: 'x', 'knoxcall-version': '2020-01-01' };
    const answer = await app.inject({ url: '/v1/things', headers });
    expect([answer.statusCode, answer.json().error.type]).toEqual([400, 'invalid_api_version']);
    const known = await app.inject({
      url: '/v1/things',
      headers: { ...auth, 'knoxcall-version': '2026-08-05' },
    });
    expect(known.statusCode).toBe(200);
  });

  it('a path that is no percent-encoded UTF-8', async () => {
    const { app, logged } = build(things);
    const answer = await app.inject({ url: '/v1/things/%zz', headers: auth });
    expect([answer.statusCode, answer.json().error.request_id]).toEqual([
      400,
      answer.headers['x-request-id'],
    ]);
    expect(logged()).toHaveLength(1);
  });
});

describe('401 and 403', () => {
  it('challenges, before the body is looked at', async () => {
    const { app } = build(things);
    const none = await app.inject(
      post({ headers: { host: 'x', 'content-type': 'text/plain' }, payload: '{' }),
    );
    expect(none.statusCode).toBe(401);
    expect(none.json().error).toEqual({
      type: 'authentication_required',
      message: 'No credential',
      request_id: none.headers['x-request-id'],
    });
    expect(none.headers['www-authenticate']).toBe('Bearer');
    const bad = await app.inject(post({ headers: { ...auth, 'x-api-key': 'bad' } }));
    expect([bad.statusCode, bad.headers['www-authenticate']]).toEqual([401, 'Bearer error="invalid_token"']);
  });

  it('names the missing grant, and logs the key', async () => {
    const { app, logged } = build(things);
    const answer = await app.inject({ url: '/v1/forbidden', headers: auth });
    expect([answer.statusCode, answer.json().error.type]).toEqual([403, 'forbidden']);
    expect(answer.json().error.message).toContain('things:forbidden');
    expect(logged()[0]).toMatchObject({ status: 403, key_id: 'tk_live_abcdefghijkl' });
  });
});

describe('404 and 405, before authentication', () => {
  it.each(['/', '/v1', '/v1/things/', '/v2/things', '//v1/things', '/v1/things/a/b', '/V1/things'])(
    '%s is not found',
    async (url) => {
      const { app } = build(things);
      const answer = await app.inject({ url, headers: { host: 'x' } });
      expect([answer.statusCode, answer.json().error.type]).toEqual([404, 'not_found']);
    },
  );

  it.each([
    ['no body behind a JSON type', { 'content-type': 'application/json' }, ''],
    ['JSON that is malformed', { 'content-type': 'application/json' }, '{'],
    ['another type', { 'content-type': 'text/plain' }, 'x'],
    ['a large body', { 'content-type': 'application/json' }, 'x'.repeat(2 * 1024 * 1024)],
  ])('whatever is sent: %s', async (_, headers, payload) => {
    const { app } = build(things);
    const send = (method: 'POST' | 'PUT', url: string) =>
      app.inject({ method, url, headers: { host: 'x', ...headers }, payload });
    expect((await send('POST', '/nowhere')).statusCode).toBe(404);
    expect((await send('PUT', '/v1/things')).statusCode).toBe(405);
  });

  it.each(['DELETE', 'OPTIONS', 'PROPFIND', 'TRACE'])('%s is not allowed on a list', async (method) => {
    const { app } = build(things);
    const answer = await app.inject({
      method: method as 'DELETE',
      url: '/v1/things?x=1',
      headers: { host: 'x' },
    });
    expect([answer.statusCode, answer.json().error.type]).toEqual([405, 'method_not_allowed']);
    expect(answer.headers['allow']).toBe('GET, HEAD');
  });
});

describe('413 and 415', () => {
  it('refuses a body above the limit, by its announced and by its real size', async () => {
    const { app } = build(things);
    const answer = await app.inject(post({ payload: JSON.stringify({ name: 'x'.repeat(1024 * 1024) }) }));
    expect([answer.statusCode, answer.json().error.type]).toEqual([413, 'payload_too_large']);
    const origin = await listen(app);
    const chunk = 'a'.repeat(0x10000);
    const body = Array.from({ length: 20 }, () => `10000\r\n${chunk}\r\n`).join('');
    const head =
      'POST /v1/things/x HTTP/1.1\r\nHost: x\r\nx-api-key: good\r\nContent-Type: application/json\r\n';
    const answered = await rawCall(origin, `${head}Transfer-Encoding: chunked\r\n\r\n${body}0\r\n\r\n`);
    expect(answered).toMatch(/^HTTP\/1.1 413 /);
  });

  it.each(['text/plain', 'application/json; charset=latin1', 'application/x-www-form-urlencoded'])(
    'refuses %s',
    async (type) => {
      const { app } = build(things);
      const answer = await app.inject(post({ headers: { ...auth, 'content-type': type } }));
      expect([answer.statusCode, answer.json().error.type]).toEqual([415, 'unsupported_media_type']);
    },
  );
});

describe('500 and 503', () => {
  it('says nothing of a bug, and logs its stack without credentials', async () => {
    const { app, lines } = build(things);
    const answer = await app.inject({ url: '/v1/broken', headers: auth });
    expect([answer.statusCode, answer.json().error]).toEqual([
      500,
      {
        type: 'internal_error',
        message: 'An internal error occurred',
        request_id: answer.headers['x-request-id'],
      },
    ]);
    expect(lines[0]).toContain('canary');
    expect(lines[0]).not.toContain('S3cret');
  });

  it('names the dependency and when to retry, the detail in the log only', async () => {
    const { app, lines } = build(things);
    const answer = await app.inject({ url: '/v1/away', headers: auth });
    expect(answer.statusCode).toBe(503);
    expect(answer.headers['retry-after']).toBe('2');
    expect(answer.json().error).toMatchObject({ dependency: 'database', retry_after: 2 });
    expect(answer.body).not.toContain('10.0.0.7');
    expect(lines[0]).toContain('10.0.0.7');
  });
});

async function listen(app: FastifyInstance): Promise<number> {
  await app.listen({ host: '127.0.0.1', port: 0 });
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Writes bytes and reads until the server closes, or until its answer says how long it is and is whole. */
function rawCall(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (data) => {
      received += data.toString('latin1');
      const length = /content-length: (\d+)\r\n[\s\S]*?\r\n\r\n/i.exec(received);
      const bodyAt = received.indexOf('\r\n\r\n') + 4;
      if (length && received.length >= bodyAt + Number(length[1])) socket.end();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(received));
  });
}

describe('malformed requests', () => {
  const head =
    'POST /v1/things/x HTTP/1.1\r\nHost: x\r\nx-api-key: good\r\nContent-Type: application/json\r\n';
  it.each([
    ['P01 length and coding', `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['P02 two lengths', `${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef`],
    ['P03 chunked, gzip', `${head}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`],
    ['P03 gzip, chunked', `${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['P03 xchunked', `${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
    ['P03 trailing tab', `${head}Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n`],
    [
      'P03 on an unknown path',
      'POST /nope HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n',
    ],
    ['a bad chunk', `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`],
    ['an unknown method', 'FOO / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['no HTTP', 'hello\r\n\r\n'],
    ['a bare line feed in a header', 'GET / HTTP/1.1\r\nHost: x\r\nX: a\nY: b\r\n\r\n'],
    ['a whole URL as target', 'GET http://x/v1/things HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['two hosts', 'GET /v1/things HTTP/1.1\r\nHost: x\r\nHost: y\r\nx-api-key: good\r\n\r\n'],
    ['no host', 'GET /v1/things HTTP/1.1\r\nx-api-key: good\r\n\r\n'],
  ])('%s is 400 in the error shape', async (_, text) => {
    const { app } = build(things);
    const received = await rawCall(await listen(app), text);
    expect(received).toMatch(/^HTTP\/1\.1 400 /);
    const body = JSON.parse(received.slice(received.indexOf('\r\n\r\n') + 4));
    expect(body.error.type).toBe('validation_error');
    expect(received.toLowerCase()).toContain(`x-request-id: ${body.error.request_id}`);
  });

  it('headers above 32 KiB are 431', async () => {
    const { app, logged } = build(things);
    const received = await rawCall(
      await listen(app),
      `GET /v1/things HTTP/1.1\r\nHost: x\r\nX-Big: ${'a'.repeat(33_000)}\r\n\r\n`,
    );
    expect(received).toMatch(/^HTTP\/1\.1 431 /);
    expect(JSON.parse(received.slice(received.indexOf('\r\n\r\n') + 4)).error.type).toBe('headers_too_large');
    expect(logged()).toContainEqual(expect.objectContaining({ status: 431, msg: 'malformed request' }));
  });

  it('takes an expectation it does not know', async () => {
    const { app } = build(things);
    const received = await rawCall(
      await listen(app),
      'GET /v1/things HTTP/1.1\r\nHost: x\r\nx-api-key: good\r\nExpect: a-pony\r\n\r\n',
    );
    expect(received).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('takes an ordinary chunked body', async () => {
    const { app } = build(things);
    const received = await rawCall(
      await listen(app),
      `${head}Transfer-Encoding: Chunked\r\n\r\nc\r\n{"name":"n"}\r\n0\r\n\r\n`,
    );
    expect(received).toMatch(/^HTTP\/1\.1 201 /);
  });
});

describe('answers that a stream owns', () => {
  it('a write behind the end of an answer is logged, and the process lives', async () => {
    const { app, logged } = build([], (root) => {
      root.get('/late', (_request, reply) => {
        reply.hijack();
        reply.raw.end('done');
        reply.raw.write('late');
      });
    });
    const port = await listen(app);
    expect(await rawCall(port, 'GET /late HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(/done/);
    expect(logged()).toContainEqual(expect.objectContaining({ level: 'error', msg: 'answer failed' }));
  });

  it('writeErrorRaw answers in the same shape, and breaks an answer that has begun', async () => {
    const { app, logged } = build([], (root) => {
      root.get('/raw', (request, reply) => {
        reply.hijack();
        writeErrorRaw(request, reply.raw, new AppError('dns_failure', 'No such name'));
      });
      root.get('/begun', (request, reply) => {
        reply.hijack();
        reply.raw.writeHead(200, { 'content-length': '10' });
        reply.raw.write('abc', () => writeErrorRaw(request, reply.raw, new Error('upstream died')));
      });
    });
    const port = await listen(app);
    const raw = await rawCall(port, 'GET /raw HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(raw).toMatch(/^HTTP\/1\.1 502 /);
    expect(JSON.parse(raw.slice(raw.indexOf('\r\n\r\n') + 4)).error.type).toBe('dns_failure');
    const begun = await rawCall(port, 'GET /begun HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(begun.endsWith('abc')).toBe(true);
    expect(logged().filter((line) => line.msg === 'request' && line.aborted)).toHaveLength(1);
  });
});

describe('the address of a caller', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::ffff:0:192.0.2.7', '::ffff:0:c000:207'],
    ['2001:db8::1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
  ])('of the peer %s is %s', async (remoteAddress, ip) => {
    const whoami = route({
      method: 'GET',
      path: '/v1/whoami',
      summary: 'Says where the caller is',
      permission: null,
      audit: null,
      response: z.object({ ip: z.string().nullable(), source: z.string() }),
      handle: async ({ caller, source }) => ({ ip: caller.ip, source: source.address }),
    });
    const { app } = build([whoami]);
    const answer = await app.inject({
      url: '/v1/whoami',
      headers: { 'x-api-key': 'good', host: 'localhost' },
      remoteAddress,
    });
    expect(answer.json().data).toEqual({ ip, source: ip });
  });
});

describe('shutdown', () => {
  it('waits for a call in flight, and destroys it when the time is over', async () => {
    const finish: (() => void)[] = [];
    const slow = route({
      method: 'GET',
      path: '/v1/slow',
      summary: 'Answers when told',
      permission: null,
      audit: null,
      response: z.object({ ok: z.boolean() }),
      handle: () => new Promise((resolve) => finish.push(() => resolve({ ok: true }))),
    });
    const text = 'GET /v1/slow HTTP/1.1\r\nHost: x\r\nx-api-key: good\r\n\r\n';

    const drained = build([slow]);
    const first = rawCall(await listen(drained.app), text);
    await expect.poll(() => finish.length).toBe(1);
    const closing = closeHttpServer(drained.app, systemClock, 60_000);
    finish[0]?.();
    expect(await first).toMatch(/^HTTP\/1\.1 200 /);
    await closing;

    const cut = build([slow]);
    const second = rawCall(await listen(cut.app), text);
    await expect.poll(() => finish.length).toBe(2);
    await closeHttpServer(cut.app, systemClock, 10);
    expect(await second).toBe('');
  });
});
