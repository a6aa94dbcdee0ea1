import { afterEach, beforeEach, expect, it } from 'vitest';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { LIVE, OTHER, SANDBOX } from '../../testing/notes.js';
import { systemIds, systemRandom } from '../crypto/random.js';
import { createJobs, type Jobs } from '../jobs/jobs.js';
import { migrations as jobsMigrations } from '../jobs/tables.js';
import { createLogger } from '../log/logger.js';
import { createOutbox, type Outbox } from './outbox.js';
import type { OutboxEvent } from './store.js';
import { migrations } from './tables.js';

const DAY_MS = 24 * 3_600_000;
const WAKE_MS = 20;

export function outboxContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let clock: ManualClock;
  let processes: Jobs[];

  beforeEach(async () => {
    db = await open([...jobsMigrations, ...migrations]);
    clock = createManualClock();
    processes = [];
  });
  afterEach(async () => {
    const stopped = processes.map((jobs) => jobs.stop(0));
    clock.advance(0);
    await Promise.all(stopped);
    await db.cleanup();
  });

  /** A listener that keeps what it was given, and fails where the test says so. */
  function listener(name: string, types: readonly string[] = ['changed']) {
    const handled: OutboxEvent[] = [];
    const tried: number[] = [];
    const control = { isRefusing: (_event: OutboxEvent) => false };
    return {
      name,
      handled,
      tried,
      control,
      numbers: () => handled.map(({ payload }) => payload['n']),
      wants: (type: string) => types.includes(type),
      async handle(event: OutboxEvent) {
        tried.push(event.payload['n'] as number);
        if (control.isRefusing(event)) throw new Error('listener is away');
        handled.push(event);
      },
    };
  }

  async function startOutbox(...listeners: Parameters<Outbox['listen']>[0][]) {
    const logger = createLogger('error', { write: () => {} });
    const jobs = createJobs({ db, clock, ids: systemIds, random: systemRandom, logger });
    const outbox = createOutbox({ db, clock, ids: systemIds, random: systemRandom, jobs });
    for (const one of listeners) outbox.listen(one);
    processes.push(jobs);
    await jobs.start(outbox.definitions());
    await jobs.idle();
    return outbox;
  }

  async function advance(ms: number): Promise<void> {
    clock.advance(ms);
    for (const jobs of processes) await jobs.idle();
  }

  async function publish(outbox: Outbox, n: number, more: Partial<OutboxEvent> = {}): Promise<string> {
    const event = { scope: LIVE, type: 'changed', key: 'k', payload: { n }, ...more };
    return db.transaction((tx) => outbox.publish(tx, event));
  }

  it('hands an event over once its change is committed', async () => {
    const audit = listener('audit');
    const outbox = await startOutbox(audit);
    const id = await publish(outbox, 1, { scope: SANDBOX });
    await advance(WAKE_MS);
    expect(audit.handled).toEqual([
      {
        id,
        scope: SANDBOX,
        type: 'changed',
        key: 'k',
        payload: { n: 1 },
        publishedAtMs: clock.nowMs() - WAKE_MS,
      },
    ]);
    expect(await outbox.status()).toEqual([]);
  });

  it('knows nothing of a change that was rolled back', async () => {
    const audit = listener('audit');
    const outbox = await startOutbox(audit);
    const change = db.transaction(async (tx) => {
      await outbox.publish(tx, { scope: LIVE, type: 'changed', key: null, payload: {} });
      throw new Error('no');
    });
    await expect(change).rejects.toThrow('no');
    await advance(60_000);
    expect([audit.tried, await outbox.status()]).toEqual([[], []]);
  });

  it('keeps only what somebody wants', async () => {
    const outbox = await startOutbox(listener('audit'), listener('alerts', ['triggered', 'changed']));
    await publish(outbox, 1, { type: 'unwanted' });
    await publish(outbox, 2, { type: 'triggered' });
    await publish(outbox, 3);
    expect((await outbox.status()).map(({ listener: name, waiting }) => [name, waiting])).toEqual([
      ['alerts', 2],
      ['audit', 1],
    ]);
  });

  it('keeps the order of a key: what follows a failed event waits for it, other keys do not', async () => {
    const audit = listener('audit');
    audit.control.isRefusing = ({ payload }) => payload['n'] === 2;
    const outbox = await startOutbox(audit);
    for (const n of [1, 2, 3]) await publish(outbox, n);
    await publish(outbox, 10, { key: 'other' });
    await publish(outbox, 20, { scope: OTHER });
    await publish(outbox, 30, { scope: SANDBOX });
    await publish(outbox, 40, { key: null });
    await advance(WAKE_MS);
    expect(audit.tried.toSorted((a, b) => a - b)).toEqual([1, 2, 10, 20, 30, 40]);
    await publish(outbox, 4);
    await advance(WAKE_MS);
    expect(audit.tried).toHaveLength(6);
    audit.control.isRefusing = () => false;
    await advance(1_000);
    await advance(1_000);
    expect(audit.numbers().slice(-3)).toEqual([2, 3, 4]);
  });

  it('takes batches until nothing is left', async () => {
    const audit = listener('audit');
    const outbox = await startOutbox(audit);
    await db.transaction(async (tx) => {
      for (let n = 0; n < 250; n++)
        await outbox.publish(tx, { scope: LIVE, type: 'changed', key: 'k', payload: { n } });
    });
    await advance(WAKE_MS);
    await advance(0);
    await advance(0);
    expect(audit.numbers()).toEqual(Array.from({ length: 250 }, (_, n) => n));
  });

  it('lets no listener wait for another, and none get an event again because another failed', async () => {
    const [audit, alerts] = [listener('audit'), listener('alerts')];
    alerts.control.isRefusing = () => true;
    const outbox = await startOutbox(audit, alerts);
    await publish(outbox, 1);
    await advance(WAKE_MS);
    for (let seconds = 0; seconds < 5; seconds++) await advance(1_000);
    expect(audit.tried).toEqual([1]);
    expect(alerts.tried.length).toBeGreaterThan(1);
    expect(alerts.handled).toEqual([]);
  });

  it('makes a dead letter of what fails again and again, goes on with the key, and can take it up again', async () => {
    const audit = listener('audit');
    audit.control.isRefusing = ({ payload }) => payload['n'] === 1;
    const outbox = await startOutbox(audit);
    const id = await publish(outbox, 1);
    await publish(outbox, 2);
    await advance(WAKE_MS);
    for (let hours = 0; hours < 20; hours++) await advance(3_600_000);
    await advance(1_000);
    expect(audit.tried.filter((n) => n === 1)).toHaveLength(20);
    expect(audit.numbers()).toEqual([2]);
    expect(await outbox.status()).toMatchObject([{ listener: 'audit', waiting: 0, dead: 1 }]);
    expect(await outbox.deadLetters('audit', 10)).toMatchObject([
      { attempts: 20, error: 'Error: listener is away', event: { id, payload: { n: 1 } } },
    ]);
    audit.control.isRefusing = () => false;
    expect(await outbox.revive('audit')).toBe(1);
    await advance(WAKE_MS);
    expect(audit.handled.at(-1)).toMatchObject({ id });
    expect(await outbox.status()).toEqual([]);
  });

  it('counts a listener that does not answer as failed', async () => {
    const signals: AbortSignal[] = [];
    const outbox = await startOutbox({
      name: 'silent',
      wants: () => true,
      handle: (_event, signal) => {
        signals.push(signal);
        return new Promise(() => {});
      },
    });
    await publish(outbox, 1);
    clock.advance(WAKE_MS);
    await expect.poll(() => signals.length, { timeout: 20_000 }).toBe(1);
    await advance(10_000);
    expect(signals[0]?.aborted).toBe(true);
    expect(await outbox.status()).toMatchObject([{ listener: 'silent', waiting: 1, dead: 0 }]);
    expect((await processes[0]!.status())[1]).toMatchObject({ kind: 'outbox_silent', waiting: 1 });
  });

  it('hands an event over again, under the same id, when the process left before it wrote the result', async () => {
    const seen: string[] = [];
    const first = await startOutbox({
      name: 'audit',
      wants: () => true,
      handle: (event) => {
        seen.push(event.id);
        return new Promise(() => {});
      },
    });
    const id = await publish(first, 1);
    clock.advance(WAKE_MS);
    await expect.poll(() => seen, { timeout: 20_000 }).toEqual([id]);
    const stopped = processes[0]!.stop(1_000);
    clock.advance(1_000);
    await stopped;
    const audit = listener('audit');
    await startOutbox(audit);
    expect(audit.handled.map((event) => event.id)).toEqual([id]);
  });

  it('removes after 90 days what nobody takes', async () => {
    const outbox = await startOutbox(listener('audit'));
    await publish(outbox, 1);
    await processes[0]!.stop(0);
    await startOutbox();
    await advance(89 * DAY_MS);
    expect(await outbox.status()).toHaveLength(1);
    await advance(2 * DAY_MS);
    expect(await outbox.status()).toEqual([]);
  });
}
