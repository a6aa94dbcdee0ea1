import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { IdempotencyRecords } from './service.js';

export function idempotencyJobs(records: Pick<IdempotencyRecords, 'deleteExpired'>): JobDefinition[] {
  return [
    {
      kind: 'idempotency_retention',
      title: 'Deletes answers that are no longer kept for repeated calls',
      schedule: { everyMs: 600_000 },
      batchMax: 1_000,
      async run({ batchMax }) {
        const rows = await records.deleteExpired(batchMax);
        return batchReport(rows, rows >= batchMax);
      },
    },
  ];
}
