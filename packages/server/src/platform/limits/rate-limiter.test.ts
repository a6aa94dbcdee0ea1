import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { forEachDatabase, onPostgres, openTestSqlite, type TestDatabase } from '../../testing/databases.js';
import { createManualClock } from '../../testing/manual-clock.js';
import type { Database } from '../storage/database.js';
import { openDatabase } from '../storage/open-database.js';
import type { FallbackAllowance } from './allowance.js';
import type { LimitRule } from './meters.js';
import { describeRateLimiter } from './rate-limiter.contract.js';
import { createRateLimiter, type RateLimiter } from './rate-limiter.js';
import { migrations, rateLimitsTables } from './tables.js';

const SCOPE: Scope = { tenantId: 'acme' as TenantId, sandbox: false };
const PROCESSES = 4;

forEachDatabase((_name, open) => describe('a limiter', () => describeRateLimiter(open)));

it('on an embedded database counts in memory: no row, and an answer at once', async () => {
  const clock = createManualClock();
  const db = await openTestSqlite(migrations, { clock });
  const limiter = createRateLimiter({ db, clock, logger: { warn() {} }, counter: null });
  const status = limiter
    .allowance(SCOPE, 'tenant', { scope: 'tenant', kind: 'bucket', requests: 100, windowSec: 60 })
    .take();
  expect(status).toMatchObject({ isAllowed: true, remaining: 99 });
  expect(await rowCount(db)).toBe(0);
  await db.cleanup();
});

async function rowCount(db: Database): Promise<number> {
  return (await db.view(rateLimitsTables).scoped(SCOPE).selectFrom('rate_limits').select('name').execute())
    .length;
}

onPostgres((open) => {
  describe('several processes on one database', () => {
    const clock = createManualClock();
    let first: TestDatabase;
    let databases: Database[];
    let limiters: RateLimiter[];
    beforeAll(async () => {
      first = await open(migrations, { clock });
      const storage = first.storage;
      const others = Array.from({ length: PROCESSES - 1 }, () =>
        openDatabase(storage, { migrations, clock }),
      );
      databases = [first, ...(await Promise.all(others))];
      limiters = databases.map((db) =>
        createRateLimiter({ db, clock, logger: { warn() {} }, counter: null }),
      );
    });
    afterAll(async () => {
      for (const db of databases.slice(1)) await db.close();
      await first.cleanup();
    });

    async function hammer(name: string, rule: LimitRule, calls: number): Promise<number> {
      const taken = await Promise.all(
        limiters.flatMap((limiter) =>
          Array.from({ length: calls }, () => limiter.allowance(SCOPE, name, rule).take()),
        ),
      );
      return taken.filter(({ isAllowed }) => isAllowed).length;
    }

    it.each(['sliding', 'bucket'] as const)('admit the limit together: %s', async (kind) => {
      const rule: LimitRule = { scope: 'tenant', kind, requests: 200, windowSec: 60 };
      expect(await hammer(`together-${kind}`, rule, 100)).toBe(200);
    });

    // What a process reads may be drawn by another before it writes: until then it may give nothing of it.
    it('admit no more though requests keep coming while each draws', async () => {
      const rule: LimitRule = { scope: 'tenant', kind: 'sliding', requests: 400, windowSec: 60 };
      const taken = [];
      for (let round = 0; round < 200; round++) {
        for (const limiter of limiters) taken.push(limiter.allowance(SCOPE, 'waves', rule).take());
        await nextTurn();
      }
      const admitted = (await Promise.all(taken)).filter(({ isAllowed }) => isAllowed).length;
      expect(admitted).toBe(400);
    });

    // Each holds the rest of a slice that it drew before the window began: the worst there is.
    it('exceed the limit of a window by at most a slice each, four of them by a tenth', async () => {
      const rule: LimitRule = { scope: 'key', kind: 'sliding', requests: 200, windowSec: 60 };
      const slice = 5;
      expect(PROCESSES * slice).toBeLessThanOrEqual(rule.requests / 10);
      const allowances = limiters.map((limiter) => limiter.allowance(SCOPE, 'bound', rule));
      let admitted: number[] = [];
      const take = async (index: number) => {
        const { isAllowed } = await allowances[index]!.take();
        if (isAllowed) admitted.push(clock.nowMs());
        return isAllowed;
      };
      // One request every 2 s keeps a slice from being given back.
      for (let round = 0; round < 5; round++) {
        for (let index = 0; index < PROCESSES; index++) await take(index);
        clock.advance(2_000);
      }
      clock.advance(60_000 - 10_000 - 1);
      const windowFromMs = clock.nowMs();
      admitted = [];
      for (let index = 0; index < PROCESSES; index++) while (await take(index));
      clock.advance(10_001);
      for (let index = 0; index < PROCESSES; index++) while (await take(index));
      const inWindow = admitted.filter((atMs) => atMs < windowFromMs + 60_000).length;
      expect(inWindow).toBeLessThanOrEqual(rule.requests + PROCESSES * slice);
      expect(inWindow).toBeGreaterThan(rule.requests - PROCESSES * slice);
    });

    it('go on from what another count has let through, however many of them were told', async () => {
      const rule: LimitRule = { scope: 'key', kind: 'sliding', requests: 200, windowSec: 60 };
      for (const [index, limiter] of limiters.entries())
        (limiter.allowance(SCOPE, 'raised', rule) as FallbackAllowance).countAtLeast(150 + index);
      const admitted = await hammer('raised', rule, 100);
      expect(admitted).toBeLessThanOrEqual(50);
      expect(admitted).toBeGreaterThanOrEqual(47);
      clock.advance(60_000);
      expect(await hammer('raised', rule, 100)).toBe(200);
    });

    it('give back what they do not use: when idle, and at a stop', async () => {
      const rule: LimitRule = { scope: 'key', kind: 'sliding', requests: 100, windowSec: 3_600 };
      for (const limiter of limiters) await limiter.allowance(SCOPE, 'idle', rule).take();
      for (const limiter of limiters) await limiter.stop();
      const last = limiters[0]!.allowance(SCOPE, 'idle', rule);
      let more = 0;
      while ((await last.take()).isAllowed) more++;
      expect(more).toBe(100 - PROCESSES);
    });

    it('forget a row that nobody drew from for its window', async () => {
      const rule: LimitRule = { scope: 'key', kind: 'sliding', requests: 1, windowSec: 1 };
      const { removeExpired } = limiters[0]!;
      await removeExpired(1_000);
      await limiters[0]!.allowance(SCOPE, 'short', rule).take();
      clock.advance(999);
      const before = await rowCount(first);
      await removeExpired(1_000);
      expect(await rowCount(first)).toBe(before);
      clock.advance(1);
      expect(await removeExpired(1_000)).toBe(1);
      expect(await limiters[0]!.allowance(SCOPE, 'short', rule).take()).toMatchObject({ isAllowed: true });
    });

    it('refuse rather than admit when the database is gone', async () => {
      const gone = await openDatabase(first.storage, { migrations, clock });
      const limiter = createRateLimiter({ db: gone, clock, logger: { warn() {} }, counter: null });
      await gone.close();
      const rule: LimitRule = { scope: 'key', kind: 'sliding', requests: 100, windowSec: 60 };
      await expect(limiter.allowance(SCOPE, 'gone', rule).take()).rejects.toMatchObject({
        type: 'dependency_unavailable',
      });
    });
  });
});
