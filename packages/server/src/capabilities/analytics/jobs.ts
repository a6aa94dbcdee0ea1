import type { JobDefinition } from '../../platform/jobs/definition.js';
import type { Analytics } from './service.js';

export function analyticsJobs(analytics: Pick<Analytics, 'count' | 'trim'>): JobDefinition[] {
  return [
    {
      kind: 'log_rollup',
      title: 'Counts new rows of the request log by minute, hour and day, each once',
      schedule: { everyMs: 10_000 },
      batchMax: 100_000,
      run: (context) => analytics.count(context),
    },
    {
      kind: 'log_rollup_retention',
      title: 'Removes counts of minutes after two days, and of hours and days with the rows that they count',
      schedule: { everyMs: 3_600_000 },
      batchMax: 10_000,
      run: (context) => analytics.trim(context),
    },
  ];
}
