import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { ClientTokens } from './service.js';

export function clientTokenJobs(tokens: Pick<ClientTokens, 'removeEnded'>): JobDefinition[] {
  return [
    {
      kind: 'client_token_retention',
      title: 'Removes client tokens an hour after their end',
      schedule: { everyMs: 60_000 },
      batchMax: 500,
      async run({ batchMax }) {
        const rows = await tokens.removeEnded(batchMax);
        return batchReport(rows, rows === batchMax);
      },
    },
  ];
}
