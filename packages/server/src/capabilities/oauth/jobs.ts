import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { OAuthTokens } from './tokens/service.js';

export function oauthJobs(tokens: Pick<OAuthTokens, 'removeEnded'>): JobDefinition[] {
  return [
    {
      kind: 'oauth_retention',
      title: 'Removes access tokens and families of refresh tokens a day after their end',
      schedule: { everyMs: 60_000 },
      batchMax: 500,
      async run({ batchMax }) {
        const { rows, hasMore } = await tokens.removeEnded(batchMax);
        return batchReport(rows, hasMore);
      },
    },
  ];
}
