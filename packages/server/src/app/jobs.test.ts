import { afterAll, beforeAll, expect, it } from 'vitest';
import { commitHook } from '../capabilities/audit-logs/index.js';
import { jobKindOf } from '../platform/jobs/definition.js';
import { createLogger } from '../platform/log/logger.js';
import { openTestSqlite, type TestDatabase } from '../testing/databases.js';
import { createManualClock } from '../testing/manual-clock.js';
import { createTestServices } from '../testing/services.js';
import { jobDefinitions } from './jobs.js';
import { MIGRATIONS } from './migrations.js';
import type { Services } from './services.js';

const HEAD = `# Background jobs

<!-- The golden list of app/jobs.test.ts. To accept a change: npx vitest run packages/server/src/app/jobs.test.ts -u -->

\`knox-server jobs list\` shows each kind with its last and next run, \`jobs list <kind>\` the jobs of one,
\`jobs run <kind>\` makes them due now. How they work: \`packages/server/src/platform/jobs/README.md\`.

An event that its listener has refused 20 times (some 12 hours) is a dead letter. \`knox-server outbox list\` counts them by
listener, \`outbox list <listener>\` shows each with its last error, \`outbox retry <listener>\` tries them again. They are kept
for 90 days.

| Kind | Runs | Batch | At once in a process | Lease | Tries | Does |
|---|---|---|---|---|---|---|
`;

let db: TestDatabase;
let services: Services;

beforeAll(async () => {
  const clock = createManualClock();
  db = await openTestSqlite(MIGRATIONS, { clock, commitHook });
  services = createTestServices({ db, clock, logger: createLogger('error', { write: () => {} }) });
});
afterAll(() => db.cleanup());

it('the list of jobs is the one that is checked in', async () => {
  const rows = jobDefinitions(services)
    .map(jobKindOf)
    .sort((a, b) => (a.kind < b.kind ? -1 : 1))
    .map(({ kind, everyMs, batchMax, concurrency, leaseMs, retry, title }) => {
      const runs = everyMs === null ? 'on demand' : `every ${everyMs / 1000} s`;
      const tries = retry.attemptsMax ?? 'endless';
      return `| \`${kind}\` | ${runs} | ${batchMax} | ${concurrency} | ${leaseMs / 1000} s | ${tries} | ${title} |\n`;
    });
  await expect(HEAD + rows.join('')).toMatchFileSnapshot('../../../../docs/operations/jobs.md');
});

it('every job runs on an empty installation', async () => {
  await services.jobs.start(jobDefinitions(services));
  await services.jobs.idle();
  await services.jobs.stop(0);
  const failed = (await services.jobs.status()).filter(
    ({ everyMs, lastRun }) => everyMs !== null && lastRun?.error !== null,
  );
  expect(failed).toEqual([]);
});
