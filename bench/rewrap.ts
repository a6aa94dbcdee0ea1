// How fast stored secrets come under a new master key, by themselves in one process: `rewrap.ts {"storage", "rows", "reads"}`; one line of JSON.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { MIGRATIONS } from '../packages/server/src/app/migrations.js';
import { commitHook } from '../packages/server/src/capabilities/audit-logs/index.js';
import { systemClock } from '../packages/server/src/kernel/clock.js';
import type { Scope } from '../packages/server/src/kernel/ids.js';
import { systemIds } from '../packages/server/src/platform/crypto/random.js';
import { createLogger } from '../packages/server/src/platform/log/logger.js';
import { openDatabase, type StorageOptions } from '../packages/server/src/platform/storage/open-database.js';
import { addKeyVersions, FIRST_NUMBER } from '../packages/server/src/testing/rewrap-rows.js';
import { createTestServices } from '../packages/server/src/testing/services.js';
import { createTestTenant } from '../packages/server/src/testing/tenants.js';

interface Plan {
  readonly storage: StorageOptions;
  readonly rows: number;
  /** A second, beside the second of two passes. */
  readonly reads: number;
}

const TICK_MS = 5;
const WAIT_MS = 10;

const plan = JSON.parse(process.argv[2] ?? '') as Plan;
const logger = createLogger('error', { write: (line) => process.stderr.write(line) });
const db = await openDatabase(plan.storage, {
  migrations: MIGRATIONS,
  clock: systemClock,
  logger,
  commitHook,
});
const services = createTestServices({ db, clock: systemClock, logger });
const { kms, jobs, rewraps, cryptoKeys } = services;
await services.generations.start();
const { id: tenantId } = await createTestTenant({ ...services, db, ids: systemIds }, 'rewrap');
const scope: Scope = { tenantId, sandbox: false };
const key = await cryptoKeys.prepare(scope);
await db.transaction((tx) => cryptoKeys.createFor(tx, key));
await addKeyVersions({ kms, db }, scope, key.id, plan.rows);
await jobs.start(rewraps.jobs());

const alone = await pass(0);
const beside = await pass(plan.reads);
process.stdout.write(`${JSON.stringify({ alone, beside })}\n`);
await jobs.stop(0);
process.exit(0);

async function pass(readsASecond: number) {
  const version = await kms.rotate(tenantId);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const readMs: number[] = [];
  const reading = setInterval(() => {
    for (let n = 0; n < (readsASecond * TICK_MS) / 1_000; n += 1) void read(readMs);
  }, TICK_MS);
  const begunAt = performance.now();
  await db.transaction((tx) => rewraps.issue(tx, tenantId, version));
  while (((await rewraps.progress(tenantId))?.rowsDone ?? 0) < plan.rows) await pause(WAIT_MS);
  const seconds = (performance.now() - begunAt) / 1_000;
  clearInterval(reading);
  delay.disable();
  await untilCompleted();
  readMs.sort((a, b) => a - b);
  return {
    rowsASecond: plan.rows / seconds,
    loopP99Ms: delay.percentile(99) / 1e6,
    readP99Ms: readMs[Math.floor(readMs.length * 0.99)] ?? null,
  };
}

async function untilCompleted(): Promise<void> {
  for (;;) {
    const progress = await rewraps.progress(tenantId);
    if (progress?.status === 'completed') return;
    if (progress?.status === 'failed') throw new Error(progress.lastError ?? 'failed');
    await pause(WAIT_MS);
  }
}

/** Each time another version, whose envelope is opened. */
async function read(readMs: number[]): Promise<void> {
  const begunAt = performance.now();
  await cryptoKeys.use(scope, key.id, FIRST_NUMBER + Math.floor(Math.random() * plan.rows), () => null);
  readMs.push(performance.now() - begunAt);
}
