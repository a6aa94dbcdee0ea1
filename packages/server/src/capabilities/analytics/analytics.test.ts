import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../app/migrations.js';
import type { Scope } from '../../kernel/ids.js';
import { systemIds } from '../../platform/crypto/random.js';
import type { JobContext, JobPayload, JobReport } from '../../platform/jobs/definition.js';
import { createLogger } from '../../platform/log/logger.js';
import type { Database } from '../../platform/storage/database.js';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { createTestServices, stopServices, type TestServices } from '../../testing/services.js';
import { createTestTenant } from '../../testing/tenants.js';
import type { ApiLogEntry } from '../api-logs/index.js';
import { entry } from '../api-logs/store.contract.js';
import { commitHook } from '../audit-logs/index.js';
import { GROUPS_MAX } from './groups.js';
import { type Analytics, type AnalyticsQuery, createAnalytics } from './service.js';
import { analyticsTables } from './tables.js';

const T0 = Date.UTC(2026, 0, 15, 9, 30);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

forEachDatabase((_name, open) => {
  let clock: ManualClock;
  let db: TestDatabase;
  let services: TestServices;
  let live: Scope;
  let test: Scope;
  let foreign: Scope;
  let analytics: Analytics;

  beforeEach(async () => {
    clock = createManualClock(T0);
    db = await open(MIGRATIONS, { clock, commitHook });
    services = createTestServices({ db, clock, logger: createLogger('error', { write: () => {} }) });
    const makers = { ...services, db, ids: systemIds };
    const [acme, globex] = [await createTestTenant(makers, 'acme'), await createTestTenant(makers, 'globex')];
    live = { tenantId: acme.id, sandbox: false };
    test = { tenantId: acme.id, sandbox: true };
    foreign = { tenantId: globex.id, sandbox: false };
    analytics = services.analytics;
  });
  afterEach(async () => {
    await stopServices(services);
    await db.cleanup();
  });

  let written = 0;
  async function write(scope: Scope, ...calls: readonly Partial<ApiLogEntry>[]): Promise<void> {
    for (const call of calls)
      services.apiLogs.append(entry(scope, `r${++written}`, { tsMs: clock.nowMs(), ...call }));
    await services.apiLogs.flush();
  }
  const many = (count: number, call: Partial<ApiLogEntry> = {}) => Array.from({ length: count }, () => call);

  const contextOf = (more: Partial<JobContext> = {}): JobContext => ({
    id: 1,
    payload: {},
    attempt: 1,
    batchMax: 100_000,
    signal: new AbortController().signal,
    isStopping: () => false,
    fence: async () => {},
    ...more,
  });
  /** All that is settled, over as many runs as it takes. */
  async function count(more: Partial<JobContext> = {}, by = analytics): Promise<number> {
    clock.advance(21_000);
    let rows = 0;
    let payload: JobPayload = {};
    for (let report: JobReport | null = null; report === null || report.againInMs !== undefined; ) {
      report = await by.count(contextOf({ ...more, payload }));
      rows += report.rows;
      payload = report.payload!;
    }
    return rows;
  }
  const requests = async (scope: Scope, query: AnalyticsQuery = {}) =>
    (await analytics.report(scope, query)).totals.requests;

  describe('counts', () => {
    it('are of the tenant and mode alone, by minute, hour and day', async () => {
      await write(live, ...many(3, { latencyMs: 5 }), { statusCode: 503, error: 'x', latencyMs: 900 });
      await write(test, {});
      await write(foreign, ...many(2));
      expect(await count()).toBe(7);
      expect([await requests(live), await requests(test), await requests(foreign)]).toEqual([4, 1, 2]);
      for (const unit of ['minute', 'hour', 'day'] as const) {
        const { series, totals } = await analytics.report(live, { unit });
        expect(totals.requests).toBe(4);
        const [point, ...others] = series.filter(({ counts }) => counts.requests > 0);
        expect([point!.counts.requests, others]).toEqual([4, []]);
        expect(point!.startMs).toBeLessThanOrEqual(T0);
      }
    });

    it('fall into the minute in which a call began, however late its row comes', async () => {
      await write(live, { tsMs: T0 - 5 * HOUR_MS }, { tsMs: T0 });
      await count();
      const { series } = await analytics.report(live, {
        unit: 'hour',
        fromMs: T0 - 6 * HOUR_MS,
        toMs: T0 + 1,
      });
      expect(series.map(({ counts }) => counts.requests)).toEqual([0, 1, 0, 0, 0, 0, 1]);
    });

    it('can be narrowed and grouped', async () => {
      const route = { proxyMode: 'route', environment: 'prod' } as const;
      await write(
        live,
        {},
        { ...route, routeId: 'r1', matchedClientId: 'c1' },
        {
          ...route,
          routeId: 'r1',
          matchedClientId: 'c2',
          statusCode: 429,
          error: 'rate_limit_exceeded',
          rateLimited: true,
        },
        { ...route, routeId: 'r2', environment: 'staging' },
      );
      await count();
      expect(await requests(live, { routeId: 'r1' })).toBe(2);
      expect(await requests(live, { routeId: 'r1', clientId: 'c2' })).toBe(1);
      expect(await requests(live, { environment: 'staging' })).toBe(1);
      expect(await requests(live, { proxyMode: 'ephemeral' })).toBe(1);
      expect(await requests(live, { statusClass: 4 })).toBe(1);
      const grouped = async (groupBy: AnalyticsQuery['groupBy']) =>
        (await analytics.report(live, { groupBy })).groups!.map(({ value, counts }) => [
          value,
          counts.requests,
        ]);
      expect(await grouped('route')).toEqual([
        ['r1', 2],
        [null, 1],
        ['r2', 1],
      ]);
      expect(await grouped('environment')).toEqual([
        ['prod', 2],
        [null, 1],
        ['staging', 1],
      ]);
      expect(await grouped('client')).toEqual([
        [null, 2],
        ['c1', 1],
        ['c2', 1],
      ]);
      expect(await grouped('proxy_mode')).toEqual([
        ['route', 3],
        ['ephemeral', 1],
      ]);
      expect(await grouped('status_class')).toEqual([
        ['2xx', 3],
        ['4xx', 1],
      ]);
    });

    it('of what comes beyond the bound of an interval are kept together, none is lost', async () => {
      const calls = Array.from({ length: GROUPS_MAX + 30 }, (_, n) => ({ matchedClientId: `c${n}` }));
      await write(live, ...calls);
      await count();
      await write(live, { matchedClientId: 'c0' }, { matchedClientId: 'one more' });
      await count();
      const { groups, groupsTotal, totals } = await analytics.report(live, {
        groupBy: 'client',
        unit: 'day',
      });
      expect(totals.requests).toBe(GROUPS_MAX + 32);
      expect(groups![0]).toMatchObject({ isOthers: true, value: null });
      expect(groups![0]!.counts.requests).toBe(31);
      expect(groupsTotal).toBe(GROUPS_MAX + 1);
      expect(await requests(live, { clientId: 'c0', unit: 'day' })).toBe(2);
    });

    it('say up to when they are', async () => {
      await count();
      const settled = () => clock.nowMs() - services.apiLogs.settledAfterMs;
      expect((await analytics.report(live, {})).countedToMs).toBe(settled());
      await write(live, {});
      const atMs = clock.nowMs();
      clock.advance(60_000);
      expect((await analytics.report(live, {})).countedToMs).toBe(atMs);
      await count();
      expect((await analytics.report(live, {})).countedToMs).toBe(settled());
    });
  });

  describe('each row is counted once', () => {
    it('by two processes at once, and by any number of runs', async () => {
      await write(live, ...many(2_500));
      await write(foreign, ...many(1_200));
      const second = createAnalytics({ db, clock, ...services });
      clock.advance(21_000);
      const both = await Promise.all(
        [1, 2, 3, 4].map((n) => (n % 2 ? analytics : second).count(contextOf())),
      );
      expect(both.length).toBe(4);
      await count();
      await count();
      expect([await requests(live), await requests(foreign)]).toEqual([2_500, 1_200]);
    });

    it('where the process dies at any statement of its commit', async () => {
      await write(live, ...many(10));
      clock.advance(21_000);
      const seen: number[] = [];
      for (let deaths = 0; deaths < 12; deaths++) {
        const dying = createAnalytics({ ...services, clock, db: dyingAfter(db, deaths) });
        await dying.count(contextOf()).catch((error) => expect(error).toMatchObject({ message: 'died' }));
        seen.push(await requests(live));
      }
      expect([...new Set(seen)]).toEqual([0, 10]);
      expect(await count()).toBe(0);
      expect(await requests(live)).toBe(10);
    });

    it('where a lease is lost before the commit', async () => {
      await write(live, ...many(10));
      const lost = { fence: () => Promise.reject(new Error('lease lost')) };
      await expect(count(lost)).rejects.toThrow('lease lost');
      expect(await requests(live)).toBe(0);
      await count();
      expect(await requests(live)).toBe(10);
    });

    it('where a run has no time for all, and in small batches', async () => {
      await write(live, ...many(30));
      await write(test, ...many(30));
      await write(foreign, ...many(30));
      await count({ batchMax: 1 });
      expect([await requests(live), await requests(test), await requests(foreign)]).toEqual([30, 30, 30]);
    });
  });

  describe('rollups go', () => {
    it('by minute after two days, by hour and day with the rows of the plan', async () => {
      await services.tenantSwitch.changeBySlug('globex', { plan: 'starter' });
      await write(live, {});
      await write(foreign, {});
      await count();
      const left = async (scope: Scope) => {
        await analytics.trim(contextOf());
        const rows = await db
          .view(analyticsTables)
          .scoped(scope)
          .selectFrom('log_rollups')
          .select('unit')
          .execute();
        return rows.map(({ unit }) => unit).sort();
      };
      expect(await left(live)).toEqual(['day', 'hour', 'minute']);
      clock.advance(3 * DAY_MS);
      expect([await left(live), await left(foreign)]).toEqual([
        ['day', 'hour'],
        ['day', 'hour'],
      ]);
      clock.advance(6 * DAY_MS);
      expect([await left(live), await left(foreign)]).toEqual([['day', 'hour'], []]);
      clock.advance(90 * DAY_MS);
      expect(await left(live)).toEqual([]);
      expect(await requests(live, { fromMs: T0 - DAY_MS, toMs: clock.nowMs() })).toBe(0);
    });
  });
});

/** A database of a process that dies before a statement of its commit, or once that has been made. */
function dyingAfter(db: TestDatabase, statements: number): Database {
  let left = statements;
  return {
    ...db,
    view(tables) {
      const view = db.view(tables);
      return {
        ...view,
        scoped(scope, tx) {
          if (tx && left-- <= 0) throw new Error('died');
          return view.scoped(scope, tx);
        },
      };
    },
    async exclusively(name, run) {
      await db.exclusively(name, run);
      throw new Error('died');
    },
  };
}
