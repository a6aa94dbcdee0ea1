import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { Alerts } from './alerts.js';
import { EVALUATION_JOB, RETENTION_JOB } from './job-kinds.js';

export function alertJobs({ evaluation, trim }: Pick<Alerts, 'evaluation' | 'trim'>): JobDefinition[] {
  return [
    {
      kind: EVALUATION_JOB,
      title: 'Judges alerts by the counts of calls; those whose condition holds go off',
      schedule: { everyMs: 15_000 },
      batchMax: 1_000,
      run: (context) => evaluation.run(context),
    },
    {
      kind: RETENTION_JOB,
      title: 'Removes the history of alerts after 90 days, and what deleted alerts have left',
      schedule: { everyMs: 3_600_000 },
      batchMax: 1_000,
      async run({ batchMax }) {
        const rows = await trim(batchMax);
        return batchReport(rows, rows === batchMax);
      },
    },
  ];
}
