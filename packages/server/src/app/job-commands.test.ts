import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isoTime } from '../kernel/clock.js';
import { systemIds, systemRandom } from '../platform/crypto/random.js';
import type { JobDefinition } from '../platform/jobs/definition.js';
import { createJobs } from '../platform/jobs/jobs.js';
import { createLogger } from '../platform/log/logger.js';
import { openDatabase } from '../platform/storage/open-database.js';
import { command } from '../testing/command.js';
import { createManualClock, type ManualClock } from '../testing/manual-clock.js';
import { MIGRATIONS } from './migrations.js';

let dataDir: string;
let clock: ManualClock;
let failure: Error | null;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'knox-jobs-'));
  clock = createManualClock();
  failure = null;
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const sweep: JobDefinition = {
  kind: 'sweep',
  title: 'Sweeps',
  schedule: { everyMs: 3_600_000 },
  batchMax: 10,
  run: async () => ({ rows: 7 }),
};
const mail: JobDefinition = {
  kind: 'mail',
  title: 'Mails',
  schedule: 'on_demand',
  batchMax: 1,
  retry: { attemptsMax: 1 },
  async run() {
    if (failure) throw failure;
    return { rows: 1 };
  },
};

/** A server's part: runs what is due and stops. */
async function serve(mails = 0): Promise<void> {
  const storage = {
    kind: 'sqlite',
    path: join(dataDir, 'knox.db'),
    logPath: join(dataDir, 'knox-log.db'),
  } as const;
  const db = await openDatabase(storage, { migrations: MIGRATIONS, clock });
  const logger = createLogger('error', { write: () => {} });
  const jobs = createJobs({ db, clock, ids: systemIds, random: systemRandom, logger });
  await jobs.start([sweep, mail]);
  for (let count = 0; count < mails; count++) await db.transaction((tx) => jobs.enqueue(tx, 'mail', {}));
  await jobs.idle();
  await jobs.stop(0);
  await db.close();
}

function run(...words: string[]) {
  return command(words, { environment: { KNOX_DATA_DIR: dataDir }, workingDir: dataDir, clock });
}

it('jobs list shows each kind with its last and next run, and what failed last', async () => {
  failure = new Error('refused\x1b[2J by the mail server');
  await serve(1);
  const { code, out } = await run('jobs', 'list');
  const now = isoTime(clock.nowMs());
  const next = isoTime(clock.nowMs() + 3_600_000);
  expect(code).toBe(0);
  expect(out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['KIND', 'RUNS', 'LAST RUN', 'OUTCOME', 'TOOK', 'ROWS', 'NEXT RUN', 'WAITING', 'ERRORED'],
    ['mail', 'on demand', now, 'failed', '-', '-', '-', '0', '1'],
    ['sweep', 'every 1 h', now, 'ok', '0 ms', '7', next, '-', '0'],
    [''],
    ['mail: Error: refused [2J by the mail server'],
    [''],
  ]);
});

it('jobs list of a kind shows its jobs', async () => {
  failure = new Error('no');
  await serve(2);
  const { out } = await run('jobs', 'list', 'mail');
  expect(out.split('\n').map((line) => line.split(/ {2,}/).slice(0, 3))).toEqual([
    ['ID', 'STATE', 'ATTEMPTS'],
    ['3', 'errored', '1'],
    ['2', 'errored', '1'],
    [''],
  ]);
});

it('jobs run makes a kind due, and takes up what was given up', async () => {
  failure = new Error('no');
  await serve(2);
  expect(await run('jobs', 'run', 'sweep')).toMatchObject({
    code: 0,
    out: expect.stringContaining('1 job is'),
  });
  expect(await run('jobs', 'run', 'mail')).toMatchObject({
    code: 0,
    out: expect.stringContaining('2 jobs are'),
  });
  expect((await run('jobs', 'list')).out).toMatch(/mail .* due .*\nsweep .* due /);
  failure = null;
  await serve();
  expect((await run('jobs', 'list', 'mail')).out.match(/ done /g)).toHaveLength(2);
  expect((await run('jobs', 'run', 'mail')).out).toBe('Nothing waits.\n');
});

it('says what it does not know', async () => {
  await serve();
  expect(await run('jobs', 'run', 'swep')).toMatchObject({
    code: 1,
    error: 'There is no job kind swep. There are: mail, sweep\n',
  });
});

it('makes no installation', async () => {
  const { code, error } = await run('jobs', 'list');
  expect([code, error]).toEqual([
    1,
    `jobs list: there is no installation at ${join(dataDir, 'knox.db')} yet; the first start makes it\n`,
  ]);
});

it.each([[[]], [['run']], [['stop']], [['list', 'a', 'b']]])('jobs %j is a usage error', async (words) => {
  const { code, error } = await run('jobs', ...words);
  expect([code, error]).toEqual([2, 'knox-server jobs list [<kind>] | jobs run <kind>\n']);
});
