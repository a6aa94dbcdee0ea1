import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_TIERS } from '../../kernel/plan-tiers.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import type { TenantChange } from '../accounts/index.js';
import { createTenantSwitch } from './index.js';

let harness: Harness;
beforeAll(async () => {
  const { starter } = DEFAULT_TIERS;
  const ephemeral = { ...starter.ephemeral, operationsPerMonth: 12 };
  harness = await createHarness({ tiers: { ...DEFAULT_TIERS, starter: { ...starter, ephemeral } } });
});
afterAll(() => harness.close());

const set = (change: TenantChange) => createTenantSwitch(harness).changeBySlug('acme', change);
const scopeOf = (sandbox = false) => ({ tenantId: harness.tenant.id, sandbox });
const admit = async (sandbox = false) => harness.plans.admitOperation(scopeOf(sandbox));
const refusedAs = async (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error: { type: string }) => error.type,
  );

describe('an ephemeral call', () => {
  it('is off by plan, and by the switch on any plan, in both modes', async () => {
    for (const change of [{ plan: 'free' }, { plan: 'enterprise', ephemeralEnabled: false }] as const) {
      await set(change);
      expect([await refusedAs(admit()), await refusedAs(admit(true))]).toEqual([
        'plan_feature',
        'plan_feature',
      ]);
    }
    // The switch only switches off: what a plan does not have it does not give.
    await set({ plan: 'free', ephemeralEnabled: true });
    expect(await refusedAs(admit())).toBe('plan_feature');
    await set({ plan: 'enterprise', ephemeralEnabled: null });
    expect(await refusedAs(admit())).toBeNull();
  });

  it('is limited in a sliding second, each mode for itself', async () => {
    await set({ plan: 'starter' });
    for (let i = 0; i < 10; i++) await admit(true);
    const refusal = await admit(true).catch((error: unknown) => error);
    expect(refusal).toMatchObject({
      type: 'rate_limit_exceeded',
      rateLimit: { scope: 'proxy', limit: 10, windowSec: 1, remaining: 0, retryAfterMs: 1_000 },
    });
    expect(await refusedAs(admit())).toBeNull();
    await harness.advance(1_000);
    expect(await refusedAs(admit(true))).toBeNull();
  });

  it('is 402 when the operations of the month are used, counted when they pass and never in sandbox', async () => {
    await harness.advance(1_000);
    for (let i = 0; i < 12; i++) {
      if (i === 9) await harness.advance(1_000);
      (await admit()).count();
      (await admit(true)).count();
    }
    expect(await refusedAs(admit())).toBe('plan_limit');
    await harness.advance(1_000);
    expect(await refusedAs(admit(true))).toBeNull();
    harness.clock.advance(17 * 24 * 3_600_000);
    await harness.advance(500);
    expect(await refusedAs(admit())).toBeNull();
  });

  it('that was admitted while one was left is refused where others took it', async () => {
    await harness.advance(1_000);
    const left = 12;
    const meter = await admit();
    for (let i = 0; i < left; i++) meter.count();
    expect(() => meter.count()).toThrow('12');
    await set({ plan: 'enterprise' });
  });
});

describe('402 where something is made or enabled', () => {
  it('for a feature that the tier does not have', async () => {
    const { id } = harness.tenant;
    await set({ plan: 'pro' });
    expect(await refusedAs(harness.plans.requireFeature(id, 'oauth2_secrets'))).toBeNull();
    expect(await refusedAs(harness.plans.requireFeature(id, 'access_keys'))).toBe('plan_feature');
  });

  it('for one row more than the tier allows, in live mode only', async () => {
    await set({ plan: 'pro' });
    const room = (used: number, sandbox = false) =>
      refusedAs(harness.plans.roomFor(scopeOf(sandbox), 'clients').then((found) => found.require(used)));
    expect([await room(24), await room(25), await room(25, true)]).toEqual([null, 'plan_limit', null]);
    await set({ plan: 'enterprise' });
    expect(await room(1_000_000)).toBeNull();
  });
});

it('a trial lasts 14 days and leaves the plan free', async () => {
  await set({ plan: 'pro', subscriptionStatus: 'trialing' });
  const during = await harness.plans.account(harness.tenant.id);
  expect([during.plan, during.status]).toEqual(['pro', 'trialing']);
  expect(await refusedAs(admit())).toBeNull();
  harness.clock.advance(14 * 24 * 3_600_000 - 500);
  await harness.advance(500);
  const after = await harness.plans.account(harness.tenant.id);
  expect([after.plan, after.status]).toEqual(['free', 'active']);
  expect(after.dates.trialEndAtMs).toBe(harness.clock.nowMs());
  expect(await refusedAs(admit())).toBe('plan_feature');
});
