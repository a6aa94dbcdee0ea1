// Rows of the request log a second, with the job that counts them running beside, and without.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIGRATIONS } from '../packages/server/src/app/migrations.js';
import { commitHook } from '../packages/server/src/capabilities/audit-logs/index.js';
import { systemClock } from '../packages/server/src/kernel/clock.js';
import type { RequestId, TenantId } from '../packages/server/src/kernel/ids.js';
import { systemIds } from '../packages/server/src/platform/crypto/random.js';
import type { JobContext, JobPayload } from '../packages/server/src/platform/jobs/definition.js';
import { createLogger } from '../packages/server/src/platform/log/logger.js';
import { openDatabase, type StorageOptions } from '../packages/server/src/platform/storage/open-database.js';
import { createTestServices } from '../packages/server/src/testing/services.js';
import { providePostgres } from '../scripts/postgres.mjs';

const ROWS = Number(process.env['ROWS'] ?? 200_000);
const QUEUED_MAX = 5_000;
const ROUTES = 20;
const logger = createLogger('error', { write: (line) => process.stderr.write(line) });

async function measure(storage: StorageOptions, isCounted: boolean): Promise<void> {
  const db = await openDatabase(storage, { migrations: MIGRATIONS, clock: systemClock, logger, commitHook });
  // Rows are settled at once: what is measured is the work, not the waiting.
  let aheadMs = 0;
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs };
  const writer = createTestServices({ db, clock: systemClock, logger });
  const counter = createTestServices({ db, clock, logger });
  const scope = { tenantId: systemIds.uuid() as TenantId, sandbox: false };
  let isWriting = true;
  let counted = 0;
  let payload: JobPayload = {};
  const context = (): JobContext => ({
    id: 1,
    payload,
    attempt: 1,
    batchMax: 100_000,
    signal: new AbortController().signal,
    isStopping: () => false,
    fence: async () => {},
  });
  const count = async () => {
    const report = await counter.analytics.count(context());
    payload = report.payload ?? {};
    counted += report.rows;
  };
  const counting = (async () => {
    while (isCounted && isWriting) {
      await count();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  })();
  const begun = performance.now();
  for (let n = 0; n < ROWS; n++) {
    if (writer.apiLogs.queuedRows() >= QUEUED_MAX) await writer.apiLogs.flush();
    writer.apiLogs.append({
      scope,
      requestId: systemIds.uuid() as RequestId,
      routeId: `route-${n % ROUTES}`,
      matchedClientId: `client-${n % 7}`,
      identificationMethod: 'api_key',
      method: 'POST',
      statusCode: n % 50 === 0 ? 502 : 200,
      srcIp: '192.0.2.7',
      environment: 'production',
      tsMs: systemClock.nowMs(),
      path: '/v1/charges',
      latencyMs: (n * 7_919) % 2_000,
      upstreamHost: 'api.example.com',
      error: null,
      rateLimited: false,
      proxyMode: 'route',
      clientOrigin: 'direct',
      echo: null,
      signatureValid: null,
      warning: null,
    });
  }
  await writer.apiLogs.flush();
  const writtenMs = performance.now() - begun;
  isWriting = false;
  await counting;
  const before = counted;
  const restBegun = performance.now();
  aheadMs = 30_000;
  if (isCounted) for (let at = -1; at !== counted; ) [at] = [counted, await count()];
  const restMs = performance.now() - restBegun;
  const rate = (rows: number, ms: number) => Math.round((rows / ms) * 1_000);
  const rest = isCounted
    ? `, ${before} counted meanwhile, the rest at ${rate(counted - before, restMs)} rows/s`
    : '';
  console.log(
    `${db.dialect}, ${isCounted ? 'counted' : 'not counted'}: ${rate(ROWS, writtenMs)} rows/s written${rest}`,
  );
  await db.close();
}

/** No URL where there is none to be had. */
const postgres = (await providePostgres({ isDurable: true })) as { url?: string; stop?: () => void };
for (const isCounted of [false, true, false, true]) {
  const folder = mkdtempSync(join(tmpdir(), 'knox-bench-'));
  await measure(
    { kind: 'sqlite', path: join(folder, 'knox.db'), logPath: join(folder, 'knox-log.db') },
    isCounted,
  );
  rmSync(folder, { recursive: true });
}
if (postgres.url) {
  for (const isCounted of [false, true])
    await measure({ kind: 'postgres', url: postgres.url } as StorageOptions, isCounted);
  await postgres.stop?.();
}
process.exit(0);
