import { afterEach, beforeEach, expect, it } from 'vitest';
import { isoTime } from '../kernel/clock.js';
import { systemIds, systemRandom } from '../platform/crypto/random.js';
import { createJobs } from '../platform/jobs/jobs.js';
import { createLogger } from '../platform/log/logger.js';
import { createOutbox, type Outbox } from '../platform/outbox/outbox.js';
import { command } from '../testing/command.js';
import { forEachDatabase, type TestDatabase } from '../testing/databases.js';
import { createManualClock, type ManualClock } from '../testing/manual-clock.js';
import { SANDBOX } from '../testing/notes.js';
import { MIGRATIONS } from './migrations.js';

const HOUR_MS = 3_600_000;
/** More than its tries take (docs/operations/jobs.md). */
const HOURS_TO_DEATH = 30;

forEachDatabase((_name, open) => {
  let clock: ManualClock;
  let db: TestDatabase;
  let isAway: boolean;
  let handled: number[];

  beforeEach(async () => {
    clock = createManualClock();
    db = await open(MIGRATIONS, { clock });
    isAway = true;
    handled = [];
  });
  afterEach(() => db.cleanup());

  /** A server's part: its listener, and what the test does while it runs. */
  async function serve(act: (outbox: Outbox, idle: () => Promise<void>) => Promise<void>): Promise<void> {
    const logger = createLogger('error', { write: () => {} });
    const jobs = createJobs({ db, clock, ids: systemIds, random: systemRandom, logger });
    const outbox = createOutbox({ db, clock, ids: systemIds, random: systemRandom, jobs });
    outbox.listen({
      name: 'alerts',
      wants: () => true,
      async handle({ payload }) {
        if (isAway) throw new Error('refused\x1b[2J by the other side');
        handled.push(payload['n'] as number);
      },
    });
    await jobs.start(outbox.definitions());
    await jobs.idle();
    await act(outbox, () => jobs.idle());
    await jobs.stop(0);
  }

  const publish = (outbox: Outbox, n: number) =>
    db.transaction((tx) =>
      outbox.publish(tx, { scope: SANDBOX, type: 'alert.triggered', key: null, payload: { n } }),
    );

  /** Events that nobody took in all their tries; their ids. */
  async function deadLetters(count: number): Promise<string[]> {
    const ids: string[] = [];
    await serve(async (outbox, idle) => {
      for (let n = 1; n <= count; n++) ids.push(await publish(outbox, n));
      for (let hour = 0; hour < HOURS_TO_DEATH; hour++) {
        clock.advance(HOUR_MS);
        await idle();
      }
    });
    return ids;
  }

  function run(...words: string[]) {
    const { storage } = db;
    const url = storage.kind === 'sqlite' ? `sqlite:${storage.path}` : storage.url;
    return command(['outbox', ...words], {
      environment: { DATABASE_URL: url },
      workingDir: '/nowhere',
      clock,
    });
  }
  const cells = (out: string) => out.split('\n').map((line) => line.split(/ {2,}/));

  it('outbox list counts what waits and what is dead, by listener', async () => {
    const publishedAt = isoTime(clock.nowMs());
    await deadLetters(2);
    await serve(async (outbox) => void (await publish(outbox, 3)));
    const { code, out } = await run('list');
    expect([code, cells(out)]).toEqual([
      0,
      [['LISTENER', 'WAITING', 'DEAD', 'OLDEST'], ['alerts', '1', '2', publishedAt], ['']],
    ]);
  });

  it('outbox list of a listener shows its dead letters without their payload', async () => {
    const publishedAt = isoTime(clock.nowMs());
    const ids = await deadLetters(2);
    const { out } = await run('list', 'alerts');
    const error = 'Error: refused [2J by the other side';
    expect(cells(out)).toEqual([
      ['EVENT', 'TYPE', 'TENANT', 'MODE', 'PUBLISHED', 'ATTEMPTS', 'LAST ERROR'],
      ...ids.map((id) => [id, 'alert.triggered', SANDBOX.tenantId, 'test', publishedAt, '20', error]),
      [''],
    ]);
  });

  it('outbox retry has them tried again by a running server, within a second', async () => {
    await deadLetters(2);
    isAway = false;
    await serve(async (_outbox, idle) => {
      await idle();
      expect(await run('retry', 'alerts')).toMatchObject({
        code: 0,
        out: expect.stringMatching(/^2 events are tried again/),
      });
      expect(handled).toEqual([]);
      clock.advance(1_000);
      await idle();
    });
    expect(handled).toEqual([1, 2]);
    expect((await run('list')).out).toBe('LISTENER  WAITING  DEAD  OLDEST\n');
  });

  it('outbox retry leaves alone what is only late', async () => {
    await serve(async (outbox) => void (await publish(outbox, 1)));
    expect((await run('retry', 'alerts')).out).toBe('There is no dead letter.\n');
  });

  it('says what it does not know', async () => {
    expect(await run('retry', 'alerts')).toMatchObject({
      code: 1,
      error: 'No event waits for a listener alerts. None waits at all\n',
    });
    await serve(async (outbox) => void (await publish(outbox, 1)));
    expect(await run('list', 'alert')).toMatchObject({
      code: 1,
      error: 'No event waits for a listener alert. Some wait for: alerts\n',
    });
  });

  it.each([[[]], [['retry']], [['stop']], [['list', 'a', 'b']]])(
    'outbox %j is a usage error',
    async (words) => {
      const { code, error } = await run(...words);
      expect([code, error]).toEqual([2, 'knox-server outbox list [<listener>] | outbox retry <listener>\n']);
    },
  );
});
