import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { Signups } from './service.js';

export function signupJobs(signups: Pick<Signups, 'removeEnded'>): JobDefinition[] {
  return [
    {
      kind: 'signup_retention',
      title: 'Removes signups whose time is over',
      schedule: { everyMs: 600_000 },
      batchMax: 500,
      async run({ batchMax }) {
        const rows = await signups.removeEnded(batchMax);
        return batchReport(rows, rows === batchMax);
      },
    },
  ];
}
