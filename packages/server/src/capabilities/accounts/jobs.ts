import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { Auth } from './auth.js';

export function signInJobs(auth: Pick<Auth, 'removeEnded'>): JobDefinition[] {
  return [
    {
      kind: 'sign_in_retention',
      title: 'Removes what is left of ended sessions, step-ups, sign-ins and invitations',
      schedule: { everyMs: 600_000 },
      batchMax: 500,
      async run({ batchMax }) {
        const { rows, hasMore } = await auth.removeEnded(batchMax);
        return batchReport(rows, hasMore);
      },
    },
  ];
}
