import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import { endOf, startSource } from '../../testing/child-process.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { systemIds, systemRandom } from '../crypto/random.js';
import { createLogger } from '../log/logger.js';
import type { Database } from '../storage/database.js';
import { databaseUnavailable } from '../storage/engine.js';
import { openDatabase } from '../storage/open-database.js';
import { type JobContext, type JobDefinition, type JobReport, LeaseLost } from './definition.js';
import { createJobs, type Jobs } from './jobs.js';
import { jobTables, migrations } from './tables.js';

const LEASE_MS = 30_000;
const DAY_MS = 24 * 3_600_000;

/** A run that the test ends. */
interface Run extends JobContext {
  end(report?: JobReport): void;
  fail(error: Error): void;
}

export function jobsContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let clock: ManualClock;
  let started: Jobs[];
  let logLines: string[];

  beforeEach(async () => {
    db = await open(migrations);
    clock = createManualClock();
    started = [];
    logLines = [];
  });
  afterEach(async () => {
    const stopped = started.map((jobs) => jobs.stop(0));
    clock.advance(0);
    await Promise.all(stopped);
    await db.cleanup();
  });

  interface OwnParts {
    readonly clock?: ManualClock;
    readonly db?: Database;
  }

  /** What one process has. */
  function createProcess(own: OwnParts = {}): Jobs {
    const logger = createLogger('debug', { write: (line) => logLines.push(line) });
    const jobs = createJobs({ db, clock, ids: systemIds, random: systemRandom, logger, ...own });
    started.push(jobs);
    return jobs;
  }

  async function startProcess(definitions: readonly JobDefinition[], own?: OwnParts): Promise<Jobs> {
    const jobs = createProcess(own);
    await jobs.start(definitions);
    await jobs.idle();
    return jobs;
  }

  async function advance(ms: number, ...processes: Jobs[]): Promise<void> {
    clock.advance(ms);
    for (const jobs of processes) await jobs.idle();
  }

  function enqueue(jobs: Jobs, kind: string, payload = {}, options = {}): Promise<number> {
    return db.transaction((tx) => jobs.enqueue(tx, kind, payload, options));
  }

  async function rowOf(id: number) {
    const rows = db.view(jobTables).system('jobs').selectFrom('jobs').selectAll().where('id', '=', id);
    return await rows.executeTakeFirst();
  }

  /** A kind whose runs wait for the test. */
  function held(kind: string, more: Partial<JobDefinition> = {}) {
    const runs: Run[] = [];
    const waiting: (() => void)[] = [];
    const definition: JobDefinition = {
      kind,
      title: kind,
      schedule: 'on_demand',
      batchMax: 10,
      run: (context) =>
        new Promise((resolve, reject) => {
          runs.push({ ...context, end: (report = { rows: 1 }) => resolve(report), fail: reject });
          for (const go of waiting.splice(0)) go();
        }),
      ...more,
    };
    return {
      definition,
      runs,
      async run(count: number): Promise<Run> {
        while (runs.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
        return runs[count - 1]!;
      },
    };
  }

  /** A kind that ends at once, or throws what the test put there. */
  function quick(kind: string, more: Partial<JobDefinition> = {}) {
    const runs: JobContext[] = [];
    const outcome: { report: JobReport; error: Error | null } = { report: { rows: 1 }, error: null };
    const definition: JobDefinition = {
      kind,
      title: kind,
      schedule: 'on_demand',
      batchMax: 10,
      async run(context) {
        runs.push(context);
        if (outcome.error) throw outcome.error;
        return outcome.report;
      },
      ...more,
    };
    return { definition, runs, outcome };
  }

  describe('a job on demand', () => {
    it('runs once its change is committed, and keeps its report', async () => {
      const mail = quick('mail');
      mail.outcome.report = { rows: 3, details: { skipped: 1 } };
      const jobs = await startProcess([mail.definition]);
      const id = await db.transaction(async (tx) => {
        const enqueued = await jobs.enqueue(tx, 'mail', { to: 7 });
        expect(mail.runs).toEqual([]);
        return enqueued;
      });
      await jobs.idle();
      expect(mail.runs.map(({ payload, attempt, batchMax }) => [payload, attempt, batchMax])).toEqual([
        [{ to: 7 }, 1, 10],
      ]);
      expect(await rowOf(id)).toMatchObject({
        state: 'done',
        run_at: null,
        lease_owner: null,
        last_report: JSON.stringify({ rows: 3, duration_ms: 0, details: { skipped: 1 } }),
        last_error: null,
        created_at: clock.nowMs(),
        started_at: clock.nowMs(),
        finished_at: clock.nowMs(),
      });
    });

    it('leaves nothing when its change is rolled back', async () => {
      const mail = quick('mail');
      const jobs = await startProcess([mail.definition]);
      const change = db.transaction(async (tx) => {
        await jobs.enqueue(tx, 'mail', {});
        throw new Error('no');
      });
      await expect(change).rejects.toThrow('no');
      await advance(1_000, jobs);
      expect(mail.runs).toEqual([]);
      expect(await jobs.jobsOf('mail', 10)).toEqual([]);
    });

    it('waits for its time', async () => {
      const mail = quick('mail');
      const jobs = await startProcess([mail.definition]);
      await enqueue(jobs, 'mail', {}, { runAtMs: clock.nowMs() + 5_000 });
      await advance(4_999, jobs);
      expect(mail.runs).toHaveLength(0);
      await advance(1_000, jobs);
      expect(mail.runs).toHaveLength(1);
    });

    it('is one for each key: the newer payload replaces the older, the earlier time stays', async () => {
      const mail = quick('mail');
      const jobs = await startProcess([mail.definition]);
      const at = (inMs: number) => ({ key: 'k', runAtMs: clock.nowMs() + inMs });
      const first = await enqueue(jobs, 'mail', { version: 1 }, at(500));
      const second = await enqueue(jobs, 'mail', { version: 2 }, at(9_000));
      const other = await enqueue(jobs, 'mail', { version: 3 }, { ...at(500), key: 'other' });
      expect([second, other === first]).toEqual([first, false]);
      await advance(1_000, jobs);
      expect(mail.runs.map(({ payload }) => payload['version'])).toEqual([2, 3]);
      expect(await enqueue(jobs, 'mail', {}, { key: 'k' })).not.toBe(first);
    });

    it('runs once more when its key was enqueued while it ran', async () => {
      const mail = held('mail');
      const jobs = await startProcess([mail.definition]);
      const id = await enqueue(jobs, 'mail', { version: 1 }, { key: 'k' });
      const first = await mail.run(1);
      await enqueue(jobs, 'mail', { version: 2 }, { key: 'k' });
      first.end();
      (await mail.run(2)).end();
      await jobs.idle();
      expect(mail.runs.map(({ payload }) => payload)).toEqual([{ version: 1 }, { version: 2 }]);
      expect(await rowOf(id)).toMatchObject({ state: 'done', asked_again: 0 });
    });

    it('goes on where its report says that there is more', async () => {
      const rewrap = quick('rewrap');
      rewrap.outcome.report = { rows: 10, againInMs: 5_000 };
      const jobs = await startProcess([rewrap.definition]);
      const id = await enqueue(jobs, 'rewrap');
      await jobs.idle();
      rewrap.outcome.report = { rows: 4 };
      await advance(4_000, jobs);
      expect(rewrap.runs).toHaveLength(1);
      await advance(1_000, jobs);
      expect(rewrap.runs.map(({ id: job, attempt }) => [job, attempt])).toEqual([
        [id, 1],
        [id, 1],
      ]);
      expect(await rowOf(id)).toMatchObject({ state: 'done' });
    });

    it('is refused when nobody has such a kind', async () => {
      const jobs = await startProcess([quick('mail').definition]);
      await expect(enqueue(jobs, 'male')).rejects.toThrow('"male"');
    });
  });

  describe('a recurring job', () => {
    it('runs every so often, once for all processes', async () => {
      const [here, there] = [0, 0].map(() => quick('sweep', { schedule: { everyMs: 10_000 } }));
      const processes = [await startProcess([here!.definition]), await startProcess([there!.definition])];
      const runs = () => here!.runs.length + there!.runs.length;
      expect(runs()).toBe(1);
      for (let seconds = 0; seconds < 30; seconds++) await advance(1_000, ...processes);
      expect(runs()).toBe(4);
      expect(await processes[0]!.jobsOf('sweep', 10)).toHaveLength(1);
    });

    it('runs at once when it is woken, and keeps its interval afterwards', async () => {
      const seal = quick('seal', { schedule: { everyMs: 60_000 } });
      const jobs = await startProcess([seal.definition]);
      jobs.wake('seal');
      await jobs.idle();
      expect(seal.runs).toHaveLength(2);
      await advance(59_000, jobs);
      expect(seal.runs).toHaveLength(2);
    });

    it('runs once more when it was woken while it ran, here or elsewhere', async () => {
      const seal = held('seal', { schedule: { everyMs: 60_000 } });
      const jobs = createProcess();
      await jobs.start([seal.definition]);
      await seal.run(1);
      const elsewhere = await startProcess([quick('seal', { schedule: { everyMs: 60_000 } }).definition]);
      elsewhere.wake('seal');
      await elsewhere.idle();
      seal.runs[0]!.end();
      await seal.run(2);
      jobs.wake('seal');
      jobs.wake('seal');
      seal.runs[1]!.end();
      (await seal.run(3)).end();
      await jobs.idle();
      expect(seal.runs).toHaveLength(3);
    });

    it('joins wakes that come close together', async () => {
      const seal = quick('seal', { schedule: { everyMs: 60_000 }, wakeDelayMs: 100 });
      const jobs = await startProcess([seal.definition]);
      for (let wakes = 0; wakes < 5; wakes++) {
        jobs.wake('seal');
        await advance(10, jobs);
      }
      expect(seal.runs).toHaveLength(1);
      await advance(50, jobs);
      expect(seal.runs).toHaveLength(2);
    });

    it('gets what its last run left for it, in whichever process, also where it was asked for meanwhile', async () => {
      const sweep = quick('sweep', { schedule: { everyMs: 5_000 } });
      sweep.outcome.report = { rows: 1, payload: { after: 'a' } };
      const jobs = await startProcess([sweep.definition]);
      sweep.outcome.report = { rows: 1 };
      await advance(5_000, jobs);
      sweep.outcome.error = new Error('away');
      await advance(5_000, jobs);
      await jobs.stop(0);
      const elsewhere = held('sweep', { schedule: { everyMs: 5_000 } });
      const others = await startProcess([elsewhere.definition]);
      clock.advance(60_000);
      const run = await elsewhere.run(1);
      others.wake('sweep');
      run.end({ rows: 1, payload: { after: 'b' } });
      (await elsewhere.run(2)).end({ rows: 1, payload: {} });
      await others.idle();
      clock.advance(5_000);
      (await elsewhere.run(3)).end();
      expect(sweep.runs.map(({ payload }) => payload)).toEqual([{}, { after: 'a' }, { after: 'a' }]);
      expect(elsewhere.runs.map(({ payload }) => payload)).toEqual([{ after: 'a' }, { after: 'b' }, {}]);
      await others.idle();
    });

    it('never gives up, and no wake shortens its delay', async () => {
      const sweep = quick('sweep', { schedule: { everyMs: 5_000 } });
      sweep.outcome.error = new Error('upstream is away');
      const jobs = await startProcess([sweep.definition]);
      jobs.wake('sweep');
      await jobs.idle();
      expect(sweep.runs).toHaveLength(1);
      for (let minutes = 0; minutes < 30; minutes++) await advance(60_000, jobs);
      expect(sweep.runs.length).toBeGreaterThan(20);
      const [status] = await jobs.status();
      expect(status).toMatchObject({
        kind: 'sweep',
        errored: 0,
        waiting: 1,
        lastRun: { error: 'Error: upstream is away', rows: null },
      });
      sweep.outcome.error = null;
      await advance(60_000, jobs);
      expect((await jobs.status())[0]?.lastRun).toMatchObject({ error: null, rows: 1 });
    });

    it('follows a shorter interval of a newer version at once', async () => {
      const older = await startProcess([quick('sweep', { schedule: { everyMs: DAY_MS } }).definition]);
      await older.stop(0);
      const sweep = quick('sweep', { schedule: { everyMs: 2_000 } });
      const jobs = await startProcess([sweep.definition]);
      for (let seconds = 0; seconds < 4; seconds++) await advance(1_000, jobs);
      expect(sweep.runs).toHaveLength(2);
    });
  });

  describe('a job that fails', () => {
    it('is tried again after twice the delay each time, and is errored in the end', async () => {
      const mail = quick('mail', { retry: { attemptsMax: 4, firstDelayMs: 1_000, delayMsMax: 3_000 } });
      mail.outcome.error = new Error('refused by smtp://user:hunter2@mail.example');
      const jobs = await startProcess([mail.definition]);
      const id = await enqueue(jobs, 'mail');
      const delays: number[] = [];
      for (let attempts = 1; attempts < 4; attempts++) {
        await jobs.idle();
        const row = await rowOf(id);
        expect(row).toMatchObject({ state: 'pending', attempts });
        delays.push(row!.run_at! - clock.nowMs());
        while (mail.runs.length === attempts) await advance(100, jobs);
      }
      expect(
        delays.map((delay, n) => delay >= [500, 1_000, 1_500][n]! && delay <= [1_000, 2_000, 3_000][n]!),
      ).toEqual([true, true, true]);
      expect(await rowOf(id)).toMatchObject({
        state: 'errored',
        run_at: null,
        attempts: 4,
        last_error: 'Error: refused by smtp://[REDACTED]@mail.example',
      });
      expect(logLines.join('')).not.toContain('hunter2');
      await advance(DAY_MS, jobs);
      expect(mail.runs).toHaveLength(4);
      expect((await jobs.status())[0]).toMatchObject({ errored: 1, waiting: 0 });
    });

    it('is taken up again by a run now, of one key the newest only', async () => {
      const mail = quick('mail', { retry: { attemptsMax: 1 } });
      mail.outcome.error = new Error('no');
      const jobs = await startProcess([mail.definition]);
      for (const options of [{}, { key: 'k' }, { key: 'k' }]) {
        await enqueue(jobs, 'mail', {}, options);
        await jobs.idle();
      }
      mail.outcome.error = null;
      expect(await jobs.runNow('mail')).toBe(2);
      await jobs.idle();
      const states = (await jobs.jobsOf('mail', 10)).map(({ state }) => state);
      expect(states).toEqual(['done', 'errored', 'done']);
    });

    it('has failed when it takes too long, and its late result is not written', async () => {
      const mail = held('mail', { timeoutMs: 10_000, leaseMs: LEASE_MS });
      const jobs = await startProcess([mail.definition]);
      const id = await enqueue(jobs, 'mail');
      const run = await mail.run(1);
      clock.advance(10_000);
      expect(run.signal.aborted).toBe(true);
      await jobs.idle();
      expect(await rowOf(id)).toMatchObject({
        state: 'pending',
        last_error: 'TimedOut: the run did not end within 10000 ms',
      });
      run.end();
      await jobs.idle();
      expect(await rowOf(id)).toMatchObject({ state: 'pending', last_report: null });
      await expect(db.transaction((tx) => run.fence(tx))).rejects.toThrow(LeaseLost);
    });
  });

  describe('a lease', () => {
    it('is renewed while the job runs, so that nobody else takes it', async () => {
      const mail = held('mail', { timeoutMs: DAY_MS });
      const jobs = await startProcess([mail.definition]);
      const other = quick('mail');
      const elsewhere = await startProcess([other.definition]);
      const id = await enqueue(jobs, 'mail');
      await mail.run(1);
      // In steps, each with a write that stands behind a renewal under way.
      for (let passedMs = 0; passedMs < 3 * LEASE_MS; passedMs += 1_000) {
        await advance(1_000, elsewhere);
        await db.transaction(async () => {});
      }
      expect((await rowOf(id))?.lease_until).toBeGreaterThan(clock.nowMs());
      expect(other.runs).toEqual([]);
      await db.transaction((tx) => mail.runs[0]!.fence(tx));
      mail.runs[0]!.end();
      await jobs.idle();
      expect(await rowOf(id)).toMatchObject({ state: 'done' });
    });

    it('that has ended is taken by another process, and the first one writes nothing more', async () => {
      const stalled = createManualClock(clock.nowMs());
      const mail = held('mail', { timeoutMs: DAY_MS });
      const jobs = await startProcess([mail.definition], { clock: stalled });
      const id = await enqueue(jobs, 'mail');
      const first = await mail.run(1);

      const other = held('mail', { timeoutMs: DAY_MS });
      const elsewhere = createProcess();
      await elsewhere.start([other.definition]);
      await elsewhere.idle();
      clock.advance(LEASE_MS - 1);
      await elsewhere.idle();
      expect(other.runs).toEqual([]);
      clock.advance(1_001);
      const second = await other.run(1);
      expect([second.id, second.attempt]).toEqual([id, 2]);

      await expect(db.transaction((tx) => first.fence(tx))).rejects.toThrow(LeaseLost);
      first.end({ rows: 99 });
      await jobs.idle();
      expect(await rowOf(id)).toMatchObject({ state: 'running', last_report: null, attempts: 2 });
      await db.transaction((tx) => second.fence(tx));
      second.end({ rows: 2 });
      await elsewhere.idle();
      expect(await rowOf(id)).toMatchObject({
        state: 'done',
        last_report: expect.stringContaining('"rows":2'),
      });
      expect(logLines.join('')).toContain('came after its lease');
    });

    it('that is lost aborts the run that still goes on', async () => {
      const mail = held('mail', { timeoutMs: DAY_MS });
      const jobs = await startProcess([mail.definition]);
      const id = await enqueue(jobs, 'mail');
      const run = await mail.run(1);
      await db
        .view(jobTables)
        .system('jobs')
        .updateTable('jobs')
        .set({ lease_owner: 'another' })
        .where('id', '=', id)
        .execute();
      clock.advance(LEASE_MS / 3);
      await once(run.signal, 'abort');
      await jobs.idle();
      expect(run.signal.reason).toBeInstanceOf(LeaseLost);
      expect(await rowOf(id)).toMatchObject({ lease_owner: 'another', state: 'running' });
    });

    it('of a process that was killed ends, and another one takes its jobs up', async () => {
      const definition = quick('endless', { leaseMs: 3_000 });
      clock = createManualClock(systemClock.nowMs());
      const jobs = await startProcess([definition.definition]);
      await jobs.stop(0);
      const id = await enqueue(jobs, 'endless');

      const child = startSource(new URL('../../testing/job-child.ts', import.meta.url), [
        JSON.stringify(db.storage),
      ]);
      const ended = endOf(child, () => child.kill('SIGKILL'));
      expect(await ended).toMatchObject({ signal: 'SIGKILL', lines: [String(id)] });
      const left = await rowOf(id);
      expect(left).toMatchObject({ state: 'running', attempts: 1 });

      // The child wrote the time of the real clock, which has gone on.
      clock = createManualClock(left!.lease_until! - 1);
      const other = quick('endless');
      const next = await startProcess([other.definition]);
      expect(other.runs).toEqual([]);
      await advance(1_000, next);
      expect(other.runs.map((run) => [run.id, run.attempt])).toEqual([[id, 2]]);
      expect(await rowOf(id)).toMatchObject({ state: 'done' });
    });

    it('of a job that was woken before its time is taken up like any other', async () => {
      const stalled = createManualClock(clock.nowMs());
      const seal = held('seal', { schedule: { everyMs: DAY_MS } });
      const jobs = createProcess({ clock: stalled });
      await jobs.start([seal.definition]);
      (await seal.run(1)).end();
      await jobs.idle();
      jobs.wake('seal');
      await seal.run(2);
      const other = quick('seal', { schedule: { everyMs: DAY_MS } });
      const elsewhere = await startProcess([other.definition]);
      await advance(LEASE_MS, elsewhere);
      await advance(1_000, elsewhere);
      expect(other.runs).toHaveLength(1);
      seal.runs[1]!.end();
      await jobs.idle();
    });

    it('that ends again and again counts as attempts: a job that kills its process is errored', async () => {
      const mail = quick('mail', { retry: { attemptsMax: 3 } });
      const jobs = await startProcess([mail.definition]);
      await jobs.stop(0);
      const id = await enqueue(jobs, 'mail');
      await db
        .view(jobTables)
        .system('jobs')
        .updateTable('jobs')
        .set({ state: 'running', attempts: 3, lease_owner: 'dead', lease_until: clock.nowMs() })
        .where('id', '=', id)
        .execute();
      const next = await startProcess([mail.definition]);
      expect(mail.runs).toEqual([]);
      expect(await rowOf(id)).toMatchObject({
        state: 'errored',
        last_error: 'Error: the process that ran it ended each time',
      });
      expect((await next.status())[0]).toMatchObject({ errored: 1 });
    });
  });

  it('is run once each by two processes on connections of their own', async () => {
    const second = await openDatabase(db.storage, { migrations, clock: systemClock });
    const [here, there] = [0, 0].map(() => quick('mail', { concurrency: 4 }));
    const jobs = await startProcess([here!.definition]);
    const elsewhere = await startProcess([there!.definition], { db: second });
    const ids = await db.transaction(async (tx) => {
      const enqueued: number[] = [];
      for (let count = 0; count < 60; count++) enqueued.push(await jobs.enqueue(tx, 'mail', {}));
      return enqueued;
    });
    elsewhere.wake('mail');
    while ((await jobs.status())[0]!.waiting > 0) await advance(1_000, jobs, elsewhere);
    const ran = [...here!.runs, ...there!.runs].map(({ id }) => id).sort((a, b) => a - b);
    await elsewhere.stop(0);
    await second.close();
    expect(ran).toEqual(ids);
  });

  it('runs as many of a kind as it may, and a slow kind starves no other', async () => {
    const slow = held('slow', { concurrency: 2 });
    const mail = quick('mail');
    const jobs = createProcess();
    await jobs.start([slow.definition, mail.definition]);
    for (let count = 0; count < 5; count++) await enqueue(jobs, 'slow');
    await slow.run(2);
    const id = await enqueue(jobs, 'mail');
    await expect.poll(async () => (await rowOf(id))?.state, { timeout: 20_000 }).toBe('done');
    expect(slow.runs).toHaveLength(2);
    slow.runs[0]!.end();
    await slow.run(3);
    expect((await jobs.status()).find(({ kind }) => kind === 'slow')).toMatchObject({
      running: 2,
      waiting: 2,
    });
    for (const run of slow.runs) run.end();
    for (const count of [4, 5]) (await slow.run(count)).end();
    await jobs.idle();
    expect((await jobs.status()).map(({ waiting, running }) => waiting + running)).toEqual([0, 0]);
  });

  describe('a stop', () => {
    it('claims no more and waits for what is under way', async () => {
      const mail = held('mail');
      const jobs = await startProcess([mail.definition]);
      const first = await enqueue(jobs, 'mail');
      const run = await mail.run(1);
      const second = await enqueue(jobs, 'mail');
      const stopped = jobs.stop(5_000);
      expect([run.isStopping(), run.signal.aborted]).toEqual([true, false]);
      clock.advance(4_999);
      run.end();
      await stopped;
      expect(mail.runs).toHaveLength(1);
      expect(await rowOf(first)).toMatchObject({ state: 'done' });
      expect(await rowOf(second)).toMatchObject({ state: 'pending', attempts: 0 });
    });

    it('gives back what does not end in time, so that another process takes it at once', async () => {
      const mail = held('mail');
      const jobs = await startProcess([mail.definition]);
      const id = await enqueue(jobs, 'mail');
      const run = await mail.run(1);
      const stopped = jobs.stop(5_000);
      clock.advance(5_000);
      await stopped;
      expect(run.signal.aborted).toBe(true);
      expect(await rowOf(id)).toMatchObject({ state: 'pending', attempts: 0, lease_owner: null });
      const other = quick('mail');
      await startProcess([other.definition]);
      expect(other.runs.map(({ id: job, attempt }) => [job, attempt])).toEqual([[id, 1]]);
    });
  });

  it('goes on by itself when the database comes back, and writes the result that it could not', async () => {
    const line = { isCutOff: false };
    const mail = held('mail');
    const jobs = await startProcess([mail.definition], { db: cuttable(db, line) });
    const id = await enqueue(jobs, 'mail');
    const run = await mail.run(1);
    line.isCutOff = true;
    run.end();
    for (let seconds = 0; seconds < 5; seconds++) {
      await turns();
      clock.advance(1_000);
    }
    line.isCutOff = false;
    await turns();
    clock.advance(1_000);
    await jobs.idle();
    expect(mail.runs).toHaveLength(1);
    expect(await rowOf(id)).toMatchObject({ state: 'done' });
    expect(logLines.filter((text) => text.includes('cannot be claimed'))).toHaveLength(1);
    expect(logLines.filter((text) => text.includes('claimed again'))).toHaveLength(1);
  });

  it('removes jobs that are over, in batches, and keeps those that failed for longer', async () => {
    const mail = quick('mail', { concurrency: 8, retry: { attemptsMax: 1 } });
    const jobs = createProcess();
    const [retention] = jobs.definitions();
    await jobs.start([mail.definition, { ...retention!, batchMax: 4 }]);
    await jobs.idle();
    for (let count = 0; count < 9; count++) await enqueue(jobs, 'mail');
    await jobs.idle();
    mail.outcome.error = new Error('no');
    await enqueue(jobs, 'mail');
    await jobs.idle();
    await advance(DAY_MS + 600_000, jobs);
    expect((await jobs.jobsOf('mail', 20)).map(({ state }) => state)).toEqual(['errored']);
    const reports = (await jobs.status()).find(({ kind }) => kind === 'job_retention');
    expect(reports).toMatchObject({ waiting: 1, lastRun: { rows: 1, error: null } });
    await advance(30 * DAY_MS, jobs);
    expect(await jobs.jobsOf('mail', 20)).toEqual([]);
  });

  it('shows each kind: schedule, counts, last and next run', async () => {
    const sweep = quick('sweep', { schedule: { everyMs: 60_000 }, title: 'Sweeps' });
    const jobs = await startProcess([sweep.definition, quick('mail').definition]);
    await enqueue(jobs, 'mail', {}, { runAtMs: clock.nowMs() + 3_000 });
    expect(await jobs.status()).toEqual([
      {
        kind: 'mail',
        title: 'mail',
        everyMs: null,
        waiting: 1,
        running: 0,
        errored: 0,
        nextRunAtMs: clock.nowMs() + 3_000,
        lastRun: null,
      },
      {
        kind: 'sweep',
        title: 'Sweeps',
        everyMs: 60_000,
        waiting: 1,
        running: 0,
        errored: 0,
        nextRunAtMs: clock.nowMs() + 60_000,
        lastRun: { endedAtMs: clock.nowMs(), durationMs: 0, rows: 1, error: null },
      },
    ]);
  });

  it('runs now what an operator asks for, whoever runs it', async () => {
    const sweep = quick('sweep', { schedule: { everyMs: DAY_MS } });
    const jobs = await startProcess([sweep.definition]);
    const operator = createProcess();
    expect(await operator.runNow('sweep')).toBe(1);
    await advance(1_000, jobs);
    expect(sweep.runs).toHaveLength(2);
    expect(await operator.runNow('unheard_of')).toBe(0);
  });
}

/** What is under way on the real event loop comes to rest. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** The same database, to which this process has lost the line. */
function cuttable(db: Database, line: { readonly isCutOff: boolean }): Database {
  const view: Database['view'] = (tables) => {
    const real = db.view(tables);
    return {
      ...real,
      system(...args) {
        if (line.isCutOff) throw databaseUnavailable('cut off');
        return real.system(...args);
      },
      defineSystem(...args) {
        const query = real.defineSystem(...args);
        const cut = () => Promise.reject(databaseUnavailable('cut off'));
        return {
          ...query,
          all: (...given) => (line.isCutOff ? cut() : query.all(...given)),
          first: (...given) => (line.isCutOff ? cut() : query.first(...given)),
        };
      },
    } as typeof real;
  };
  return Object.assign(Object.create(db), { view });
}
