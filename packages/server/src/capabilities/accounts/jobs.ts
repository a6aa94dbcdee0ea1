import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { Sessions } from './sessions/service.js';

export function signInJobs(sessions: Pick<Sessions, 'removeEnded'>): JobDefinition[] {
  return [
    {
      kind: 'sign_in_retention',
      title: 'Removes what is left of ended sessions and of failed sign-ins',
      schedule: { everyMs: 600_000 },
      batchMax: 500,
      async run({ batchMax }) {
        const { rows, hasMore } = await sessions.removeEnded(batchMax);
        return batchReport(rows, hasMore);
      },
    },
  ];
}
