import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { systemClock } from '../../kernel/clock.js';
import { AppError } from '../../kernel/errors.js';
import type { ApiKeyId, RequestId, SessionId, TenantId, UserId } from '../../kernel/ids.js';
import type { Principal } from '../../kernel/principal.js';
import { createLogger } from '../log/logger.js';
import { createRequestLog } from '../log/request-log.js';
import { type CallerSteps, createCallerSteps } from './caller.js';
import { createHosts } from './hosts.js';
import { mountedRoutes } from './mounts.js';
import { registerRoutes } from './register-routes.js';
import { type RouteDefinition, route } from './route.js';
import { closeHttpServer, createHttpServer } from './server.js';

const inTenant = {
  scope: { tenantId: 't' as TenantId, sandbox: false },
  tenantSlug: 'acme',
  rateLimit: null,
  grants: [],
  may: (permission: string) => permission !== 'things:forbidden',
};
const key: Principal = {
  ...inTenant,
  kind: 'api_key',
  apiKeyId: 'k' as ApiKeyId,
  keyId: 'tk_live_abcdefghijkl',
  userId: null,
};
const user: Principal = {
  ...inTenant,
  kind: 'user',
  apiKeyId: null,
  keyId: null,
  userId: 'u' as UserId,
  sessionId: 's' as SessionId,
  role: 'viewer',
};

function thing({ path, ...settings }: Partial<RouteDefinition> & { path: string }): RouteDefinition {
  const definition = route({
    method: 'GET',
    path,
    summary: 'A thing',
    permission: null,
    audit: null,
    response: z.object({ who: z.string() }),
    handle: async ({ caller }) => ({ who: caller.principal.kind }),
  });
  return { ...definition, ...settings };
}

const ROUTES = [
  thing({ path: '/v1/things' }),
  thing({ path: '/v1/keys/:id', admin: 'bare' }),
  thing({ path: '/v1/machines', admin: 'none' }),
  thing({ path: '/admin/team', permission: 'things:forbidden' }),
  route({
    method: 'GET',
    path: '/admin/me',
    summary: 'Before a tenant is chosen',
    permission: null,
    audit: null,
    access: 'session',
    admin: 'bare',
    response: z.object({ id: z.string() }),
    handle: async ({ caller }) => ({ id: caller.userId }),
  }),
  route({
    method: 'POST',
    path: '/admin/enter',
    summary: 'Open to everybody',
    permission: null,
    audit: null,
    access: 'public',
    admin: 'bare',
    response: z.object({ ip: z.string().nullable(), given: z.string() }),
    cookies: ({ ip }: { ip: string }) => [`from=${ip}; HttpOnly`, 'seen=1'],
    handle: async ({ caller, headers }) => ({ ip: caller.ip, given: String(headers.cookie) }),
  }),
];

const open: FastifyInstance[] = [];
afterEach(async () => {
  for (const app of open.splice(0)) await closeHttpServer(app, systemClock, 1_000);
});

function stepsFor(principal: Principal): CallerSteps {
  return createCallerSteps({
    limits: { admit: () => null },
    hosts: createHosts({ baseDomain: 'localhost', publicUrl: null, customHosts: [] }),
    authenticator: {
      async authenticate(rawHeaders) {
        if (!rawHeaders.includes(principal.kind)) throw new AppError('authentication_required', 'Who?');
        return principal;
      },
    },
  });
}

function build() {
  const lines: string[] = [];
  const sink = { write: (line: string) => lines.push(line) };
  const app = createHttpServer({
    logger: createLogger('info', sink),
    requestLog: createRequestLog('info', sink, systemClock),
    ids: { uuid: () => crypto.randomUUID() },
    clock: systemClock,
  });
  open.push(app);
  return { app, lines };
}

async function ask(method: 'GET' | 'POST', url: string, headers: Record<string, string> = {}) {
  const { app, lines } = build();
  const mounted = mountedRoutes(ROUTES);
  const steps = { v1: stepsFor(key), admin: { ...stepsFor(user), session: async () => session } };
  for (const mount of ['v1', 'admin'] as const) {
    const own = mounted.filter((place) => place.mount === mount);
    app.register(async (scope) => registerRoutes(scope, own, { steps: steps[mount], idempotency: noKeys }));
  }
  const answer = await app.inject({ method, url, headers });
  return { status: answer.statusCode, json: answer.json(), headers: answer.headers, lines };
}
const noKeys = { answer: () => Promise.reject(new Error('a call with an idempotency key')) };
const session = {
  tenantId: null,
  userId: 'u' as UserId,
  sessionId: 's' as SessionId,
  requestId: 'r' as RequestId,
  ip: null,
};

describe('one definition', () => {
  it('has a place under /v1 and its twin under /admin, unless it says otherwise', () => {
    const places = mountedRoutes(ROUTES).map(({ mount, path, body }) => [mount, path, body]);
    expect(places).toEqual([
      ['v1', '/v1/things', 'envelope'],
      ['admin', '/admin/things', 'envelope'],
      ['v1', '/v1/keys/:id', 'envelope'],
      ['admin', '/admin/keys/:id', 'bare'],
      ['v1', '/v1/machines', 'envelope'],
      ['admin', '/admin/team', 'envelope'],
      ['admin', '/admin/me', 'bare'],
      ['admin', '/admin/enter', 'bare'],
    ]);
  });

  it.each([
    ['a path under neither', thing({ path: '/other' })],
    ['a bare page', thing({ path: '/v1/things', admin: 'bare', answer: 'page' })],
    ['a session under /v1', thing({ path: '/v1/me', access: 'session' })],
  ])('is refused with %s', (_, definition) => {
    expect(() => mountedRoutes([definition])).toThrow();
  });

  it('of a session asks for no permission', () => {
    const { app } = build();
    const definition = thing({ path: '/admin/me', access: 'session', permission: 'things:read' });
    expect(() =>
      registerRoutes(app, mountedRoutes([definition]), { steps: stepsFor(user), idempotency: noKeys }),
    ).toThrow('session');
  });
});

describe('200', () => {
  it.each([
    ['/v1/things', 'api_key', { data: { who: 'api_key' }, meta: { request_id: expect.any(String) } }],
    ['/admin/things', 'user', { data: { who: 'user' }, meta: { request_id: expect.any(String) } }],
    ['/v1/keys/1', 'api_key', { data: { who: 'api_key' }, meta: { request_id: expect.any(String) } }],
    ['/admin/keys/1', 'user', { who: 'user' }],
    ['/admin/me', 'nobody', { id: 'u' }],
  ])('%s', async (path, credential, body) => {
    const answer = await ask('GET', path, { credential });
    expect([answer.status, answer.json]).toEqual([200, body]);
  });

  it('of a public route sets cookies, and reads them', async () => {
    const answer = await ask('POST', '/admin/enter', { cookie: 'a=b' });
    expect(answer.json).toEqual({ ip: '127.0.0.1', given: 'a=b' });
    expect(answer.headers['set-cookie']).toEqual(['from=127.0.0.1; HttpOnly', 'seen=1']);
  });

  it('names the user in the log', async () => {
    const { lines } = await ask('GET', '/admin/things', { credential: 'user' });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ tenant: 'acme', user_id: 'u' });
  });
});

describe('refusals', () => {
  it.each([
    [400, 'GET', '/admin/things?access_token=x', { credential: 'user' }],
    [400, 'POST', '/admin/enter', { 'knoxcall-version': '1999-01-01' }],
    [401, 'GET', '/admin/things', { credential: 'api_key' }],
    [401, 'GET', '/v1/things', { credential: 'user' }],
    [403, 'GET', '/admin/team', { credential: 'user' }],
    [404, 'GET', '/admin/machines', { credential: 'user' }],
    [404, 'GET', '/v1/team', { credential: 'api_key' }],
    [404, 'POST', '/admin/enter', { host: 'hooks.localhost' }],
    [405, 'POST', '/admin/things', { credential: 'user' }],
  ] as const)('%i %s %s', async (status, method, path, headers) => {
    expect((await ask(method, path, headers)).status).toBe(status);
  });
});
