import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { Wrap } from './service.js';

export function wrapJobs(wrap: Pick<Wrap, 'removeEnded' | 'observations'>): JobDefinition[] {
  return [
    {
      kind: 'wrap_token_retention',
      title: 'Removes gateway tokens 30 days after their end',
      schedule: { everyMs: 3_600_000 },
      batchMax: 500,
      async run({ batchMax }) {
        const rows = await wrap.removeEnded(batchMax);
        return batchReport(rows, rows === batchMax);
      },
    },
    {
      kind: 'egress_observation_retention',
      title: 'Removes observed kinds of calls that no SDK has reported for 90 days',
      schedule: { everyMs: 3_600_000 },
      batchMax: 500,
      async run({ batchMax }) {
        const rows = await wrap.observations.removeOld(batchMax);
        return batchReport(rows, rows === batchMax);
      },
    },
  ];
}
