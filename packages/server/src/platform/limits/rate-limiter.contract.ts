import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { createManualClock } from '../../testing/manual-clock.js';
import type { LimitRule } from './meters.js';
import { createRateLimiter, type RateLimiter } from './rate-limiter.js';
import { migrations } from './tables.js';

const SCOPE: Scope = { tenantId: 'acme' as TenantId, sandbox: false };
const PER_MINUTE: LimitRule = { scope: 'key', kind: 'sliding', requests: 40, windowSec: 60 };

/** What holds wherever the count is. */
export function describeRateLimiter(open: OpenTestDatabase): void {
  const clock = createManualClock();
  let db: TestDatabase;
  let limiter: RateLimiter;
  beforeAll(async () => {
    db = await open(migrations, { clock });
    limiter = createRateLimiter({ db, clock, logger: { warn() {} }, counter: null });
  });
  afterAll(() => db.cleanup());

  it('admits exactly the limit, whether one after the other or at once', async () => {
    for (const [name, isConcurrent] of [
      ['one', false],
      ['many', true],
    ] as const) {
      const allowance = limiter.allowance(SCOPE, name, PER_MINUTE);
      const statuses = [];
      if (isConcurrent)
        statuses.push(...(await Promise.all(Array.from({ length: 60 }, () => allowance.take()))));
      else for (let i = 0; i < 60; i++) statuses.push(await allowance.take());
      expect([name, statuses.filter(({ isAllowed }) => isAllowed).length]).toEqual([name, 40]);
      expect(statuses.at(-1)).toMatchObject({ limit: 40, windowSec: 60, remaining: 0, retryAfterMs: 60_000 });
      expect(statuses.at(-1)?.resetAtMs).toBe(clock.nowMs() + 60_000);
    }
  });

  it('counts down and is whole again after its window', async () => {
    const allowance = limiter.allowance(SCOPE, 'down', PER_MINUTE);
    expect([(await allowance.take()).remaining, (await allowance.take()).remaining]).toEqual([39, 38]);
    for (let i = 0; i < 38; i++) await allowance.take();
    expect((await allowance.take()).isAllowed).toBe(false);
    clock.advance(60_000);
    expect(await allowance.take()).toMatchObject({ isAllowed: true, remaining: 39 });
  });

  it('takes back what a second limit refused', async () => {
    const allowance = limiter.allowance(SCOPE, 'back', PER_MINUTE);
    for (let i = 0; i < 40; i++) await allowance.take();
    allowance.giveBack();
    expect([(await allowance.take()).isAllowed, (await allowance.take()).isAllowed]).toEqual([true, false]);
  });

  it('keeps modes, tenants, names and rules apart', async () => {
    const one: LimitRule = { ...PER_MINUTE, requests: 1 };
    const allowances = [
      limiter.allowance(SCOPE, 'apart', one),
      limiter.allowance({ ...SCOPE, sandbox: true }, 'apart', one),
      limiter.allowance({ ...SCOPE, tenantId: 'globex' as TenantId }, 'apart', one),
      limiter.allowance(SCOPE, 'apart2', one),
      limiter.allowance(SCOPE, 'apart', { ...one, windowSec: 61 }),
    ];
    for (const allowance of allowances) expect((await allowance.take()).isAllowed).toBe(true);
    for (const allowance of allowances) expect((await allowance.take()).isAllowed).toBe(false);
    expect(limiter.allowance(SCOPE, 'apart', { ...one })).toBe(allowances[0]);
  });

  it('never admits where nothing is allowed', async () => {
    const nothing = limiter.allowance(SCOPE, 'nothing', { ...PER_MINUTE, requests: 0 });
    expect(await nothing.take()).toMatchObject({ isAllowed: false, limit: 0, retryAfterMs: 60_000 });
  });
}
