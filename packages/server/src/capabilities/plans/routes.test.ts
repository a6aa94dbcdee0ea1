import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RequestId, SessionId, UserId } from '../../kernel/ids.js';
import { DEFAULT_TIERS } from '../../kernel/plan-tiers.js';
import type { Caller } from '../../kernel/principal.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import type { TestTenant } from '../../testing/tenants.js';
import type { TenantChange } from '../accounts/index.js';
import { accountsTables } from '../accounts/tables.js';

let harness: Harness;

beforeAll(async () => {
  harness = await createHarness({
    tiers: { ...DEFAULT_TIERS, starter: { ...DEFAULT_TIERS.starter, requestsPerMinute: 3 } },
  });
  // The clock stands still: without it no tenant would be the older one, whose owner is the operator.
  await harness.db
    .view(accountsTables)
    .system('operator')
    .updateTable('tenants')
    .set((eb) => ({ created_at: eb('created_at', '+', 1) }))
    .where('id', '=', harness.other.id)
    .execute();
});
afterAll(() => harness.close());

const set = ({ slug }: TestTenant, change: TenantChange) => harness.tenantSwitch.changeBySlug(slug, change);
const get = (path: string, tenant: TestTenant, mode: 'live' | 'test' = 'live') =>
  harness.call('GET', path, { key: tenant[mode] });
const typeOf = (answer: { json: Record<string, { type?: string }> }) => answer.json['error']?.type;

describe('GET /v1/account', () => {
  it('tells plan, status and dates, in both modes alike', async () => {
    const { tenant } = harness;
    const answer = await get('/v1/account', tenant);
    expect([answer.status, answer.json['data']]).toEqual([
      200,
      {
        id: tenant.id,
        slug: 'acme',
        name: 'acme',
        region: null,
        subscription_plan: 'enterprise',
        subscription_status: 'active',
        trial_start_at: null,
        trial_end_at: null,
        subscription_current_period_start: '2026-01-01T00:00:00.000Z',
        subscription_current_period_end: '2026-02-01T00:00:00.000Z',
        subscription_cancel_at: null,
        created_at: '2026-01-15T09:30:00.000Z',
      },
    ]);
    expect((await get('/v1/account', tenant, 'test')).json['data']).toEqual(answer.json['data']);
  });

  it('is 401 without a credential, 400 for a query it does not know, 404 for a tenant that is gone', async () => {
    expect((await harness.call('GET', '/v1/account')).status).toBe(401);
    expect((await get('/v1/account?x=1', harness.tenant)).status).toBe(400);
    const gone = harness.plans.account('00000000-0000-4000-8000-00000000dead' as never);
    await expect(gone).rejects.toMatchObject({ type: 'not_found' });
  });
});

describe('GET /v1/account/usage', () => {
  it('tells the month, what is used of the plan, and null where nothing is limited', async () => {
    const { status, json } = await get('/v1/account/usage', harness.tenant);
    const none = { used: 0, limit: null };
    expect([status, json['data']]).toEqual([
      200,
      {
        billing_period: {
          year: 2026,
          month: 1,
          start: '2026-01-01T00:00:00.000Z',
          end: '2026-02-01T00:00:00.000Z',
        },
        api_calls: { used: 0, limit: null, percentage: 0 },
        resources: { routes: none, secrets: none, clients: none, environments: { ...none, used: 1 } },
        plan: 'enterprise',
        status: 'active',
      },
    ]);
  });

  it('counts live operations only, with a percentage of two decimals', async () => {
    const { other } = harness;
    await set(other, { plan: 'pro' });
    const scope = { tenantId: other.id, sandbox: false };
    const live = await harness.plans.admitOperation(scope);
    const test = await harness.plans.admitOperation({ ...scope, sandbox: true });
    for (let i = 0; i < 12_847; i++) live.count();
    for (let i = 0; i < 50; i++) test.count();
    const { json } = await get('/v1/account/usage', other, 'test');
    expect(json['data']['api_calls']).toEqual({ used: 12_847, limit: 1_000_000, percentage: 1.28 });
    expect(json['data']['resources']['routes']).toEqual({ used: 0, limit: 50 });
    expect(json['data']['plan']).toBe('pro');
    await set(other, { plan: 'enterprise' });
  });
});

describe('a subscription that is not active', () => {
  it.each(['paused', 'cancelled'] as const)(
    '%s: the account stays readable, all else is 403',
    async (status) => {
      const { other } = harness;
      await set(other, { subscriptionStatus: status });
      for (const mode of ['live', 'test'] as const) {
        const refused = await get('/v1/api-keys', other, mode);
        expect([refused.status, typeOf(refused)]).toEqual([403, 'subscription_inactive']);
        expect((await get('/v1/account/usage', other, mode)).status).toBe(200);
      }
      const { json } = await get('/v1/account', other);
      expect(json['data']['subscription_status']).toBe(status);
      expect(json['data']['subscription_cancel_at']).toBe(
        status === 'cancelled' ? '2026-01-15T09:30:00.000Z' : null,
      );
      await set(other, { subscriptionStatus: 'active' });
      expect((await get('/v1/api-keys', other)).status).toBe(200);
    },
  );

  it.each(['past_due', 'trialing'] as const)('%s still serves', async (status) => {
    await set(harness.other, { subscriptionStatus: status });
    expect((await get('/v1/api-keys', harness.other)).status).toBe(200);
    await set(harness.other, { subscriptionStatus: 'active' });
  });
});

describe('limits of requests', () => {
  it('show in headers, and refuse with 429 before the permission is asked for', async () => {
    const { other } = harness;
    await set(other, { plan: 'starter' });
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push(await get('/v1/api-keys', other));
    const resetSec = Math.ceil((harness.clock.nowMs() + 60_000) / 1000);
    expect(
      answers.map(({ headers }) => [headers['x-ratelimit-limit'], headers['x-ratelimit-remaining']]),
    ).toEqual([
      ['3', '2'],
      ['3', '1'],
      ['3', '0'],
      ['3', '0'],
    ]);
    const refused = answers[3]!;
    expect([refused.status, typeOf(refused)]).toEqual([429, 'rate_limit_exceeded']);
    expect(refused.json['error']['limit']).toEqual({
      scope: 'tenant',
      limit: 3,
      window_sec: 60,
      reset_at: new Date(harness.clock.nowMs() + 60_000).toISOString(),
    });
    expect([refused.headers['x-ratelimit-reset'], refused.headers['retry-after']]).toEqual([
      String(resetSec),
      '20',
    ]);
    // Sandbox is a bucket of its own; a refusal for another reason carries the headers too.
    const test = await harness.call('GET', '/v1/api-keys?page=x', { key: other.test });
    expect([test.status, test.headers['x-ratelimit-remaining']]).toEqual([400, '2']);
    await harness.advance(20_000);
    expect((await get('/v1/api-keys', other)).status).toBe(200);
    await set(other, { plan: 'enterprise' });
    expect((await get('/v1/api-keys', other)).headers['x-ratelimit-limit']).toBeUndefined();
  });

  it('of a key refuse that key, and give the tenant its request back', async () => {
    const { other } = harness;
    await set(other, { plan: 'starter' });
    await harness.advance(60_000);
    const { principal } = harness.callerOf(other, 'live');
    const limited = { ...principal, rateLimit: { requests: 1, windowSeconds: 3_600 } };
    expect(await harness.plans.admit(limited)).toMatchObject({ scope: 'key', limit: 1, remaining: 0 });
    const again = async () => harness.plans.admit(limited);
    await expect(again()).rejects.toMatchObject({
      type: 'rate_limit_exceeded',
      rateLimit: { scope: 'key', windowSec: 3_600 },
    });
    expect(await harness.plans.admit(principal)).toMatchObject({ scope: 'tenant', remaining: 1 });
    await set(other, { plan: 'enterprise' });
  });

  it('of a key hold from the call that made it on', async () => {
    const { tenant } = harness;
    const { json } = await harness.call('POST', '/v1/api-keys', {
      key: tenant.live,
      body: { name: 'narrow', rate_limit_requests: 1, rate_limit_window_sec: 60 },
    });
    const call = { headers: { authorization: `Bearer ${json['data'].api_key}` } };
    const first = await harness.call('GET', '/v1/account', call);
    expect([first.status, first.headers['x-ratelimit-remaining']]).toEqual([200, '0']);
    const second = await harness.call('GET', '/v1/account', call);
    expect([second.status, second.json['error'].limit]).toMatchObject([429, { scope: 'key', limit: 1 }]);
    expect((await get('/v1/account', tenant)).status).toBe(200);
  });
});

describe('PATCH /admin/tenants/:id', () => {
  const patch = (path: string, body: unknown, token: string) =>
    harness.call('PATCH', `/admin/tenants/${path}`, { token, body });
  let operator: string;
  let owner: string;
  beforeAll(async () => {
    operator = await harness.signIn(harness.tenant.ownerEmail);
    owner = await harness.signIn(harness.other.ownerEmail);
  });

  it('is 400 for a body that changes nothing or knows no such plan, 401 without a signed-in user', async () => {
    const { id } = harness.tenant;
    for (const body of [
      {},
      { plan: 'gold' },
      { subscription_status: 1 },
      { ephemeral_enabled: 'off' },
      { slug: 'www' },
    ])
      expect([body, (await patch(id, body, operator)).status]).toEqual([body, 400]);
    const call = { body: { plan: 'pro' } };
    expect((await harness.call('PATCH', `/admin/tenants/${id}`, call)).status).toBe(401);
    const key = { ...call, key: harness.tenant.live };
    expect((await harness.call('PATCH', `/admin/tenants/${id}`, key)).status).toBe(401);
  });

  it("is 200 for the operator, 403 and 404 for another tenant's owner", async () => {
    const { tenant, other } = harness;
    const changed = await patch(other.id, { plan: 'pro' }, operator);
    expect([changed.status, changed.json['data'].plan]).toEqual([200, 'pro']);
    const own = await patch(other.id, { plan: 'enterprise' }, owner);
    expect([own.status, typeOf(own)]).toEqual([403, 'forbidden']);
    const foreign = await patch(tenant.id, { plan: 'free' }, owner);
    expect([foreign.status, typeOf(foreign)]).toEqual([404, 'not_found']);
    expect((await patch(other.id, { ephemeral_enabled: false }, owner)).status).toBe(200);
    const restored = { plan: 'enterprise', ephemeral_enabled: null };
    expect((await patch(other.id, restored, operator)).status).toBe(200);
  });

  async function ownerOf({ id }: TestTenant): Promise<UserId> {
    const row = await harness.db
      .view(accountsTables)
      .scoped({ tenantId: id })
      .selectFrom('memberships')
      .select('user_id')
      .executeTakeFirstOrThrow();
    return row.user_id;
  }

  async function signedIn(tenant: TestTenant, permissions: readonly string[]): Promise<Caller> {
    return {
      principal: {
        kind: 'user',
        scope: { tenantId: tenant.id, sandbox: false },
        tenantSlug: tenant.slug,
        apiKeyId: null,
        keyId: null,
        userId: await ownerOf(tenant),
        sessionId: 'session' as SessionId,
        role: 'owner',
        rateLimit: null,
        grants: [],
        may: (permission) => permissions.includes(permission),
      },
      requestId: harness.ids.uuid() as RequestId,
      ip: null,
    };
  }

  it("lets a tenant's owner switch ephemeral calls, and nothing else of it", async () => {
    const { other } = harness;
    const owner = await signedIn(other, ['tenant:write']);
    expect(await harness.tenantSwitch.change(owner, other.id, { ephemeralEnabled: false })).toMatchObject({
      ephemeralEnabled: false,
    });
    for (const change of [{ plan: 'enterprise' }, { subscriptionStatus: 'active' }] as const)
      await expect(harness.tenantSwitch.change(owner, other.id, change)).rejects.toMatchObject({
        type: 'forbidden',
      });
    await expect(
      harness.tenantSwitch.change(owner, harness.tenant.id, { ephemeralEnabled: null }),
    ).rejects.toMatchObject({
      type: 'not_found',
    });
    // The operator renames no tenant in which it is less than an Admin.
    const operator = await signedIn(harness.tenant, []);
    await expect(
      harness.tenantSwitch.change(operator, harness.tenant.id, { name: 'mine' }),
    ).rejects.toMatchObject({ type: 'forbidden' });
    const viewer = await signedIn(other, []);
    await expect(
      harness.tenantSwitch.change(viewer, other.id, { ephemeralEnabled: null }),
    ).rejects.toMatchObject({
      type: 'forbidden',
    });
  });

  it('lets the operator change any tenant, audited in that tenant', async () => {
    const { other } = harness;
    const operator = await signedIn(harness.tenant, []);
    const change = { plan: 'pro', subscriptionStatus: 'past_due', ephemeralEnabled: null } as const;
    expect(await harness.tenantSwitch.change(operator, other.id, change)).toMatchObject(change);
    const { rows } = await harness.auditLogs.list(other.id, { page: 1, perPage: 1, order: 'desc' });
    expect(rows[0]).toMatchObject({
      action: 'tenant.update',
      resourceId: other.id,
      details: { plan: 'pro', subscription_status: 'past_due', ephemeral_enabled: null },
    });
    await expect(harness.tenantSwitch.change(operator, 'nobody' as never, change)).rejects.toMatchObject({
      type: 'not_found',
    });
    await set(other, { plan: 'enterprise', subscriptionStatus: 'active' });
  });
});
