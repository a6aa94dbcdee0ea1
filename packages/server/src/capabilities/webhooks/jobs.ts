import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import { AUDIT_JOB, CALL_JOB, DELIVERY_JOB, RETENTION_JOB } from './job-kinds.js';
import type { Webhooks } from './webhooks.js';

export function webhookJobs({ courier, auditFeed, callFeed, trim }: Webhooks): JobDefinition[] {
  return [
    {
      kind: DELIVERY_JOB,
      title: 'Sends webhook deliveries that are due',
      schedule: { everyMs: 10_000 },
      batchMax: 256,
      run: (context) => courier.run(context),
    },
    {
      kind: AUDIT_JOB,
      title: 'Makes webhook deliveries of audit rows',
      schedule: { everyMs: 10_000 },
      // On PostgreSQL a row is sealed at most 250 ms after its commit.
      wakeDelayMs: 300,
      batchMax: 50,
      run: (context) => auditFeed.run(context),
    },
    {
      kind: CALL_JOB,
      title: 'Makes webhook deliveries of calls',
      schedule: { everyMs: 10_000 },
      // Rows of calls are written 50 ms later.
      wakeDelayMs: 100,
      batchMax: 50,
      run: (context) => callFeed.run(context),
    },
    {
      kind: RETENTION_JOB,
      title: 'Removes webhook logs and deliveries after 30 days, and what deleted webhooks have left',
      schedule: { everyMs: 3_600_000 },
      batchMax: 1_000,
      async run({ batchMax, isStopping }) {
        const { rows, hasMore } = await trim(batchMax, isStopping);
        return batchReport(rows, hasMore);
      },
    },
  ];
}
