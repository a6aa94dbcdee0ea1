import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createPlans, type Plans } from '../../capabilities/plans/index.js';
import type { TenantId } from '../../kernel/ids.js';
import { DEFAULT_TIERS, type PlanTiers } from '../../kernel/plan-tiers.js';
import { createRateLimiter } from '../../platform/limits/rate-limiter.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { type Answer, type ProxyFixture, startProxyFixture } from '../../testing/proxy-fixture.js';

/** Few enough to run into each. */
const TIERS: PlanTiers = {
  ...DEFAULT_TIERS,
  enterprise: {
    ...DEFAULT_TIERS.enterprise,
    ephemeral: { enabled: true, operationsPerMonth: 2, requestsPerSecond: 3 },
    requestsPerMinute: 6,
  },
};

let harness: Harness;
let proxy: ProxyFixture;
beforeAll(async () => {
  harness = await createHarness();
  proxy = await startProxyFixture();
});
afterAll(async () => {
  await proxy.close();
  await harness.close();
});
afterEach(() => proxy.reset());

/** The plans of the product, over the tenant that the fixture's keys belong to. */
function plansOf(tiers: PlanTiers): Plans {
  const { db, clock, ids, logger, accounts, generations, tenant } = harness;
  const limiter = createRateLimiter({ db, clock, logger, counter: null });
  const plans = createPlans({ db, clock, ids, logger, tiers, accounts, generations, limiter });
  const tenantId: TenantId = tenant.id;
  return {
    ...plans,
    admit: (principal) => plans.admit({ ...principal, scope: { ...principal.scope, tenantId } }),
    admitOperation: (scope) => plans.admitOperation({ ...scope, tenantId }),
  };
}

const errorOf = ({ body }: Answer) => JSON.parse(body.toString()).error;
const rateHeaders = ({ headers }: Answer) =>
  ['limit', 'remaining'].map((name) => headers[`x-ratelimit-${name}`]);

describe('limits of a proxied call', () => {
  it('show beside the upstream’s answer, unless the upstream has its own', async () => {
    proxy.plans = plansOf(TIERS);
    const answer = await proxy.call();
    expect([answer.status, rateHeaders(answer)]).toEqual([200, ['6', '5']]);
    expect(Number(answer.headers['x-ratelimit-reset'])).toBeGreaterThan(0);
    proxy.upstream = (_request, response) => response.setHeader('X-RateLimit-Limit', '60').end();
    expect(rateHeaders(await proxy.call())).toEqual(['60', undefined]);
  });

  it('the month: counted once the target is judged, then 402', async () => {
    proxy.plans = plansOf(TIERS);
    const bad = await proxy.call({ headers: { 'x-knox-proxy-url': 'https://127.0.0.1/' } });
    expect([bad.status, rateHeaders(bad)]).toEqual([400, ['6', '5']]);
    for (let i = 0; i < 2; i++) expect((await proxy.call()).status).toBe(200);
    harness.clock.advance(1_000);
    proxy.rows.length = 0;
    const refused = await proxy.call();
    expect([refused.status, errorOf(refused).type]).toEqual([402, 'plan_limit']);
    expect(await proxy.row()).toMatchObject({ statusCode: 402, error: 'plan_limit', rateLimited: false });
    expect(proxy.seen).toHaveLength(2);
  });

  it('the second: 429 in the scope of the proxy, marked in the log, nothing sent', async () => {
    const ephemeral = { ...TIERS.enterprise.ephemeral, operationsPerMonth: null };
    proxy.plans = plansOf({ ...TIERS, enterprise: { ...TIERS.enterprise, ephemeral } });
    for (let i = 0; i < 3; i++) expect((await proxy.call()).status).toBe(200);
    proxy.rows.length = 0;
    const refused = await proxy.call();
    expect([refused.status, errorOf(refused).type, refused.headers['retry-after']]).toEqual([
      429,
      'rate_limit_exceeded',
      '1',
    ]);
    expect(errorOf(refused).limit).toMatchObject({ scope: 'proxy', limit: 3, window_sec: 1 });
    expect(rateHeaders(refused)).toEqual(['3', '0']);
    expect(await proxy.row()).toMatchObject({ statusCode: 429, rateLimited: true, upstreamHost: null });
    expect(proxy.seen).toHaveLength(3);
  });

  it('the minute comes before the permission, off before everything that is counted', async () => {
    proxy.plans = plansOf({
      ...TIERS,
      enterprise: { ...TIERS.enterprise, ephemeral: { ...TIERS.enterprise.ephemeral, enabled: false } },
    });
    for (let i = 0; i < 5; i++) {
      const answer = await proxy.call({ key: 'tk_live_none' });
      expect([answer.status, rateHeaders(answer)]).toEqual([403, ['6', String(5 - i)]]);
    }
    expect(errorOf(await proxy.call()).type).toBe('plan_feature');
    const refused = await proxy.call({ key: 'tk_live_none' });
    expect([refused.status, errorOf(refused).limit]).toMatchObject([429, { scope: 'tenant', limit: 6 }]);
  });
});
