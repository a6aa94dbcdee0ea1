import { batchReport, type JobDefinition } from '../../../platform/jobs/definition.js';
import type { OAuth2Secrets } from './service.js';

const RENEWAL_JOB = 'oauth2_renewal';

export function oauth2SecretJobs(
  secrets: Pick<OAuth2Secrets, 'renewDue' | 'removeEndedVisits'>,
): JobDefinition[] {
  return [
    {
      kind: RENEWAL_JOB,
      title: 'Renews access tokens of OAuth2 secrets before they end',
      schedule: { everyMs: 15_000 },
      batchMax: 100,
      run: (context) => secrets.renewDue(context),
    },
    {
      kind: 'oauth2_visit_retention',
      title: 'Forgets visits to OAuth2 providers from which nobody came back',
      schedule: { everyMs: 600_000 },
      batchMax: 500,
      async run({ batchMax }) {
        const rows = await secrets.removeEndedVisits(batchMax);
        return batchReport(rows, rows === batchMax);
      },
    },
  ];
}
