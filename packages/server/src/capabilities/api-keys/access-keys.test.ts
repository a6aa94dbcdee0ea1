import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAppError } from '../../kernel/errors.js';
import type { RequestId, SessionId, UserId } from '../../kernel/ids.js';
import { DEFAULT_TIERS } from '../../kernel/plan-tiers.js';
import type { Caller, UserPrincipal, UserRole } from '../../kernel/principal.js';
import { createCallerSteps } from '../../platform/http/caller.js';
import { createHosts } from '../../platform/http/hosts.js';
import { mountedRoutes } from '../../platform/http/mounts.js';
import { registerRoutes } from '../../platform/http/register-routes.js';
import { closeHttpServer, createHttpServer } from '../../platform/http/server.js';
import { createRequestLog } from '../../platform/log/request-log.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { decisionOfUser, KEY_PERMISSIONS } from '../permissions/index.js';
import { createPlans } from '../plans/index.js';
import { apiKeyRoutes } from './routes.js';
import { createApiKeys, type NewApiKey } from './service.js';

let harness: Harness;
beforeAll(async () => {
  harness = await createHarness();
});
afterAll(() => harness.close());

const HOUR_MS = 3_600_000;
const READ_ONLY = 'e794bdab-daa8-4034-98a5-9ec335c311d1';
const grantsOf = (names: Iterable<string>) =>
  [...names].map((permission) => ({ permission, resource: null }));

/** A signed-in member of the first tenant: nobody else can ask for an access key. */
function userOf(role: UserRole, sandbox = false): UserPrincipal {
  return {
    kind: 'user',
    scope: { tenantId: harness.tenant.id, sandbox },
    tenantSlug: harness.tenant.slug,
    apiKeyId: null,
    keyId: null,
    userId: harness.ids.uuid() as UserId,
    sessionId: harness.ids.uuid() as SessionId,
    role,
    rateLimit: null,
    ...decisionOfUser(role),
  };
}

function callerOf(principal: UserPrincipal): Caller {
  return { principal, requestId: harness.ids.uuid() as RequestId, ip: null };
}

/** A member who holds just that. */
function maker(names?: Iterable<string>): Caller {
  const owner = userOf('owner');
  return callerOf(names ? { ...owner, grants: grantsOf(names) } : owner);
}

const accessKey = (more: Partial<NewApiKey> = {}): NewApiKey => ({
  name: 'enterprise',
  access: 'inherited',
  rateLimit: null,
  type: 'access_key',
  expiresAtMs: null,
  ...more,
});

async function make(more: Partial<NewApiKey> = {}, caller = maker()): Promise<string> {
  return (await harness.apiKeys.create(caller, accessKey(more))).apiKey.reveal();
}

async function errorOf(making: Promise<unknown>) {
  const error: unknown = await making.catch((cause: unknown) => cause);
  if (!isAppError(error)) throw error;
  return [error.status, error.type, error.publicMessage];
}

const outcome = async (key: string, path = '/v1/roles', host = '127.0.0.1') => {
  const answer = await harness.call('GET', path, { key, host });
  return [answer.status, answer.json['error']?.['type']];
};

describe('an access key', () => {
  it('has its form, and is listed with its scopes and expiry', async () => {
    const expiresAtMs = harness.clock.nowMs() + HOUR_MS;
    const grants = grantsOf(['api-keys:read', 'roles:read']);
    const made = await harness.apiKeys.create(maker(), accessKey({ access: { grants }, expiresAtMs }));
    expect(made.apiKey.reveal()).toMatch(/^AKE[A-Za-z0-9]{13}_[A-Za-z0-9]{40}$/);
    expect(made.scopes).toEqual(['api-keys:read', 'roles:read']);
    const key = made.apiKey.reveal();
    const answer = await harness.call('GET', '/v1/api-keys', { key });
    const row = (answer.json['data'] as { id: string }[]).find(({ id }) => id === made.id);
    expect(row).toEqual({
      id: made.id,
      key_id: key.split('_')[0],
      key_prefix: `${key.slice(0, 11)}...`,
      key_type: 'access_key',
      name: 'enterprise',
      active: true,
      created_at: expect.any(String),
      last_used_at: null,
      rate_limit_requests: null,
      rate_limit_window_sec: null,
      scopes: ['api-keys:read', 'roles:read'],
      expires_at: '2026-01-15T10:30:00.000Z',
    });
    expect(await outcome(key, '/v1/audit-logs')).toEqual([403, 'forbidden']);
  });

  it('is for live alone', async () => {
    const key = await make();
    for (const host of ['127.0.0.1', 'api.localhost', 'acme.localhost'])
      expect(await outcome(key, '/v1/roles', host)).toEqual([200, undefined]);
    for (const host of ['sandbox.localhost', 'sandbox-acme.localhost'])
      expect(await outcome(key, '/v1/roles', host)).toEqual([403, 'wrong_key_type']);
    expect(await outcome(key, '/v1/roles', 'globex.localhost')).toEqual([401, 'invalid_api_key']);
  });

  it('inherits what its maker holds and a key can hold, and full access from full access alone', async () => {
    const full = await harness.apiKeys.create(maker(), accessKey());
    expect(full.access).toEqual({ full: true });
    expect(full.scopes).toHaveLength(KEY_PERMISSIONS.size);
    const less = await harness.apiKeys.create(maker(['roles:read', 'tenant:write']), accessKey());
    expect(less.scopes).toEqual(['roles:read']);
    // Every permission by name is what there is today; full access is what there will be.
    const grants = grantsOf(KEY_PERMISSIONS);
    const listed = await make({ access: { grants } });
    const answer = await harness.call('POST', '/v1/api-keys', { key: listed, body: { name: 'child' } });
    const { rows } = await harness.apiKeys.list(
      { tenantId: harness.tenant.id, sandbox: false },
      { page: 1, perPage: 100, order: 'desc' },
    );
    const child = rows.find(({ id }) => id === answer.json['data']?.['id']);
    expect(child?.access).toEqual({ full: false, roleIds: [], grants });
  });

  it('expires by the clock, also while it is cached, and is then as one that never was', async () => {
    const key = await make({ expiresAtMs: harness.clock.nowMs() + 1_000 });
    expect(await outcome(key)).toEqual([200, undefined]);
    await harness.advance(999);
    expect(await outcome(key)).toEqual([200, undefined]);
    await harness.advance(1);
    const answers = await Promise.all(
      [key, `AKE${'a'.repeat(13)}_${'B'.repeat(40)}`].map(async (one) => {
        const { status, json } = await harness.call('GET', '/v1/roles', { key: one });
        return { status, error: { ...json['error'], request_id: null } };
      }),
    );
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]?.status).toBe(401);
    const { rows } = await harness.apiKeys.list(
      { tenantId: harness.tenant.id, sandbox: false },
      { page: 1, perPage: 100, order: 'desc' },
    );
    expect(rows.find(({ keyId }) => keyId === key.split('_')[0])?.isActive).toBe(false);
  });

  it('makes no key that outlives it', async () => {
    const expiresAtMs = harness.clock.nowMs() + 1_000;
    const answer = await harness.call('POST', '/v1/api-keys', {
      key: await make({ expiresAtMs }),
      body: { name: 'child' },
    });
    expect(answer.json['data']).toMatchObject({ key_type: 'standard', expires_at: expect.any(String) });
    expect(answer.json['data']).not.toHaveProperty('scopes');
    const child = String(answer.json['data']?.['api_key']);
    expect(await outcome(child)).toEqual([200, undefined]);
    await harness.advance(1_000);
    expect(await outcome(child)).toEqual([401, 'invalid_api_key']);
  });

  it('cannot revoke itself by its id or key id; another key can, by either', async () => {
    const [first = '', second = ''] = [await make(), await make()];
    const remove = (name: string, key: string) => harness.call('DELETE', `/v1/api-keys/${name}`, { key });
    const firstId = first.split('_')[0] ?? '';
    expect((await remove(firstId, first)).status).toBe(400);
    expect((await remove(firstId, second)).status).toBe(200);
    expect(await outcome(first)).toEqual([401, 'invalid_api_key']);
    expect((await remove(firstId, second)).status).toBe(404);
  });
});

describe('is refused', () => {
  it('402 on another plan', async () => {
    const { db, clock, ids, logger, accounts, generations, limiter } = harness;
    const tiers = { ...DEFAULT_TIERS, enterprise: DEFAULT_TIERS.pro };
    const plans = createPlans({ db, clock, ids, logger, tiers, accounts, generations, limiter });
    const apiKeys = createApiKeys({ ...harness, plans });
    expect(await errorOf(apiKeys.create(maker(), accessKey()))).toEqual([
      402,
      'plan_feature',
      'The plan enterprise does not have the feature access_keys',
    ]);
    expect((await apiKeys.create(maker(), accessKey({ type: 'standard' }))).type).toBe('standard');
  });

  it('403 with a scope that its maker lacks, and nothing is written', async () => {
    const asked = { access: { grants: grantsOf(['vaults:read']) } };
    const scope = { tenantId: harness.tenant.id, sandbox: false };
    const page = { page: 1, perPage: 1, order: 'desc' } as const;
    const before = await harness.apiKeys.list(scope, page);
    expect(await errorOf(make(asked, maker(['roles:read'])))).toEqual([
      403,
      'privilege_escalation',
      'This credential does not hold vaults:read, so it cannot grant it',
    ]);
    expect((await harness.apiKeys.list(scope, page)).total).toBe(before.total);
  });

  it.each<[string, Partial<NewApiKey>, 'live' | 'test', string]>([
    ['an access key in test mode', {}, 'test', 'key_type'],
    ['a standard key in test mode', { type: 'standard' }, 'test', 'key_type'],
    ['a test key in live mode', { type: 'test' }, 'live', 'key_type'],
    ['an end that is past', { expiresAtMs: 1 }, 'live', 'expires_at'],
  ])('400 as %s', async (_, more, mode, field) => {
    const caller = callerOf(userOf('owner', mode === 'test'));
    const making = harness.apiKeys.create(caller, accessKey(more));
    const [status, type, message] = await errorOf(making);
    expect([status, type]).toEqual([400, 'validation_error']);
    expect(message).toContain(field);
  });
});

describe('POST /admin/api-keys', () => {
  async function create(body: object, user = userOf('owner')) {
    const { logger, ids, clock, idempotency } = harness;
    const requestLog = createRequestLog('info', { write: () => true }, clock);
    const app = createHttpServer({ logger, requestLog, ids, clock });
    const routes = mountedRoutes(apiKeyRoutes(harness.apiKeys)).filter(({ mount }) => mount === 'admin');
    const steps = createCallerSteps({
      hosts: createHosts({ baseDomain: 'localhost', publicUrl: null, customHosts: [] }),
      authenticator: { authenticate: async () => user },
      limits: harness.plans,
    });
    app.register(async (scope) => registerRoutes(scope, routes, { steps, idempotency }));
    const answer = await app.inject({
      method: 'POST',
      url: '/admin/api-keys',
      payload: { name: 'x', ...body },
    });
    await closeHttpServer(app, clock, 1_000);
    return { status: answer.statusCode, headers: answer.headers, json: answer.json() };
  }

  it('201: a key that is shown once, with its scopes and its end', async () => {
    const answer = await create({
      key_type: 'access_key',
      scopes: ['roles:read', 'roles:read'],
      expires_at: '2030-01-01T00:00:00+01:00',
    });
    expect([answer.status, answer.headers['cache-control']]).toEqual([201, 'no-store']);
    const key = String(answer.json['data']?.['api_key']);
    expect(answer.json['data']).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      key_id: key.split('_')[0],
      api_key: expect.stringMatching(/^AKE[A-Za-z0-9]{13}_[A-Za-z0-9]{40}$/),
      key_prefix: `${key.slice(0, 11)}...`,
      key_type: 'access_key',
      name: 'x',
      role_ids: [],
      message: expect.any(String),
      scopes: ['roles:read'],
      expires_at: '2029-12-31T23:00:00.000Z',
    });
    expect(await outcome(key)).toEqual([200, undefined]);
    expect(await outcome(key, '/v1/audit-logs')).toEqual([403, 'forbidden']);
  });

  it('201: the key of the mode where no type is asked for, with the body of /v1', async () => {
    const live = await create({ role_ids: [READ_ONLY], rate_limit_requests: 5, rate_limit_window_sec: 60 });
    expect(live.json['data']).toMatchObject({ key_type: 'standard', role_ids: [READ_ONLY] });
    const test = await create({ key_type: 'test' }, userOf('owner', true));
    expect(test.json['data']).toMatchObject({ key_type: 'test' });
    expect(test.json['data']).not.toHaveProperty('expires_at');
  });

  it('201: what a Developer may do, and no more: 403 with what only an Owner holds', async () => {
    const inherited = await create({ key_type: 'access_key' }, userOf('developer'));
    expect(inherited.json['data']?.['scopes']).toContain('vaults:detokenize');
    expect(inherited.json['data']?.['scopes']).not.toContain('dyn-db:force');
    const wider = await create({ key_type: 'access_key', scopes: ['egress:write'] }, userOf('developer'));
    expect([wider.status, wider.json['error']?.['type']]).toEqual([403, 'privilege_escalation']);
    expect(wider.json['error']?.['message']).toContain('egress:write');
  });

  it('403: a Viewer makes no key', async () => {
    const answer = await create({}, userOf('viewer'));
    expect([answer.status, answer.json['error']?.['type']]).toEqual([403, 'forbidden']);
    expect(answer.json['error']?.['message']).toContain('api-keys:write');
  });

  it.each([
    ['an unknown type', { key_type: 'oauth' }, 'key_type'],
    ['an unknown scope', { key_type: 'access_key', scopes: ['vaults:fly'] }, 'scopes[0]'],
    ['a wildcard', { key_type: 'access_key', scopes: ['vaults:*'] }, 'scopes[0]'],
    ['what only users hold', { key_type: 'access_key', scopes: ['billing:read'] }, 'scopes[0]'],
    ['scopes beside roles', { key_type: 'access_key', scopes: [], role_ids: [] }, 'scopes'],
    ['scopes of a standard key', { key_type: 'standard', scopes: [] }, 'scopes'],
    ['an expiry of a standard key', { expires_at: '2030-01-01T00:00:00Z' }, 'expires_at'],
    ['no time', { key_type: 'access_key', expires_at: 'tomorrow' }, 'expires_at'],
    ['an end that is past', { key_type: 'access_key', expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
    ['the type of the other mode', { key_type: 'test' }, 'key_type'],
  ])('400: %s', async (_, body, field) => {
    const answer = await create(body);
    expect([answer.status, Object.keys(answer.json['fields'] ?? {})]).toEqual([400, [field]]);
  });
});
