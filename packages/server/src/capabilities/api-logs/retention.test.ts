import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../app/migrations.js';
import { DEFAULT_TIERS, withLogRetention } from '../../kernel/plan-tiers.js';
import { systemIds } from '../../platform/crypto/random.js';
import type { JobContext, JobDefinition, JobPayload } from '../../platform/jobs/definition.js';
import { createLogger } from '../../platform/log/logger.js';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { createTestServices, stopServices, type TestServices } from '../../testing/services.js';
import { createTestTenant, type TestTenant } from '../../testing/tenants.js';
import { commitHook } from '../audit-logs/index.js';
import { type ApiLogs, apiLogJobs, createApiLogs } from './index.js';
import { entry } from './store.contract.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const going = () => false;

/** Without the job beside it. */
function retentionJob(apiLogs: Pick<ApiLogs, 'trim'>): JobDefinition[] {
  return apiLogJobs(apiLogs, { anchor: async () => ({ rows: 0 }) }).slice(0, 1);
}

forEachDatabase((name, open) => {
  let clock: ManualClock;
  let db: TestDatabase;
  let services: TestServices;
  let acme: TestTenant;
  let globex: TestTenant;

  beforeEach(() => {
    clock = createManualClock();
  });
  afterEach(async () => {
    await stopServices(services);
    await db.cleanup();
  });

  async function start(tiers = DEFAULT_TIERS): Promise<void> {
    db = await open(MIGRATIONS, { clock, commitHook });
    services = createTestServices({ db, clock, logger: createLogger('error', { write: () => {} }), tiers });
    acme = await createTestTenant({ ...services, db, ids: systemIds }, 'acme');
    globex = await createTestTenant({ ...services, db, ids: systemIds }, 'globex');
    await services.tenantSwitch.changeBySlug('globex', { plan: 'free' });
  }

  /** A call of each tenant and mode that began now. */
  async function write(requestId: string): Promise<void> {
    for (const { id: tenantId } of [acme, globex])
      for (const sandbox of [false, true])
        services.apiLogs.append(entry({ tenantId, sandbox }, requestId, { tsMs: clock.nowMs() }));
    await services.apiLogs.flush();
  }

  /** What is left of the tenant, live and test. */
  async function left({ id: tenantId }: TestTenant): Promise<string[][]> {
    clock.advance(10_000);
    const pages = [false, true].map((sandbox) =>
      services.apiLogs.list({ tenantId, sandbox }, {}, undefined, 100),
    );
    return (await Promise.all(pages)).map(({ rows }) => rows.map(({ requestId }) => requestId as string));
  }
  const both = (...requestIds: string[]) => [requestIds, requestIds];

  describe('rows of the request log', () => {
    it('go after the days of their tenant’s plan, by the job', async () => {
      await start();
      await services.jobs.start(retentionJob(services.apiLogs));
      // The first run ends before the clock goes on, or it would be out of time.
      await services.jobs.idle();
      const passDays = async (days: number) => {
        clock.advance(days * DAY_MS);
        await services.jobs.idle();
      };
      try {
        await write('old');
        await passDays(6);
        await write('newer');
        expect([await left(acme), await left(globex)]).toEqual([both('old', 'newer'), both('old', 'newer')]);
        await passDays(2);
        expect([await left(acme), await left(globex)]).toEqual([both('old', 'newer'), both('newer')]);
        await passDays(80);
        expect([await left(acme), await left(globex)]).toEqual([both('old', 'newer'), both()]);
        await passDays(4);
        expect([await left(acme), await left(globex)]).toEqual([both('newer'), both()]);
        await passDays(8);
        expect([await left(acme), await left(globex)]).toEqual([both(), both()]);
      } finally {
        await services.jobs.stop(0);
      }
    });

    it('go after the days that KNOX_LOG_RETENTION_DAYS sets, whatever the plan', async () => {
      await start(withLogRetention(DEFAULT_TIERS, 3));
      await write('old');
      clock.advance(2 * DAY_MS);
      await write('newer');
      expect((await services.apiLogs.trim(100, going)).rows).toBe(0);
      clock.advance(2 * DAY_MS - HOUR_MS);
      await services.apiLogs.trim(100, going);
      expect([await left(acme), await left(globex)]).toEqual([both('newer'), both('newer')]);
    });

    it('go with their whole day on PostgreSQL, one by one on SQLite', async () => {
      await start();
      await write('old');
      clock.advance(92 * DAY_MS);
      const { rows, days } = await services.apiLogs.trim(100, going);
      // The partitions that were made ahead are past as well.
      expect([rows, days]).toEqual(name === 'postgres' ? [0, expect.any(Number)] : [4, 0]);
      expect(days > 0).toBe(name === 'postgres');
      expect([await left(acme), await left(globex)]).toEqual([both(), both()]);
    });

    it('go in bounded batches, the oldest first, and stay where a stop is asked for', async () => {
      await start();
      for (const requestId of ['a', 'b', 'c']) await write(requestId);
      clock.advance(8 * DAY_MS);
      expect(await services.apiLogs.trim(100, () => true)).toMatchObject({ rows: 0 });
      const { rows, rest } = await services.apiLogs.trim(2, going);
      expect([rows, rest]).toEqual([2, { after: acme.id < globex.id ? acme.id : null }]);
      expect(await left(globex)).toEqual([['c'], ['a', 'b', 'c']]);
      expect(await services.apiLogs.trim(100, going)).toMatchObject({ rows: 4 });
      expect([await left(acme), await left(globex)]).toEqual([both('a', 'b', 'c'), both()]);
    });

    it('go on with the tenant behind the last one where the time of a run was over, in the next run of the job', async () => {
      await start();
      for (const requestId of ['a', 'b']) await write(requestId);
      const asked: string[] = [];
      const apiLogs = createApiLogs({
        db,
        clock,
        onLostRow: () => {},
        retention: {
          logKeptMsMax: 90 * DAY_MS,
          // As where there are thousands of tenants: each takes the time of a run.
          logKeptMs: async (tenantId) => {
            asked.push(tenantId);
            if (asked.length < 3) clock.advance(59_999);
            return 7 * DAY_MS;
          },
        },
      });
      clock.advance(8 * DAY_MS);
      const [job] = retentionJob(apiLogs);
      const run = async (payload: JobPayload) =>
        job!.run({
          payload,
          batchMax: 100,
          isStopping: going,
          signal: new AbortController().signal,
        } as JobContext);
      const inOrder = [acme.id, globex.id].sort();
      const first = await run({});
      expect(first).toMatchObject({ rows: 4, againInMs: 0, payload: { after: inOrder[0] } });
      const second = await run(first.payload!);
      expect(asked).toEqual([inOrder[0], inOrder[1], inOrder[1]]);
      expect(second.payload).toEqual({});
      expect(second.againInMs).toBeUndefined();
      expect([await left(acme), await left(globex)]).toEqual([both(), both()]);
    });
  });
});
