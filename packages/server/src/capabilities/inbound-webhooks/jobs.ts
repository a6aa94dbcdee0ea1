import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { InboundWebhooks } from './inbound-webhooks.js';

export function inboundWebhookJobs({
  removeExpired,
}: Pick<InboundWebhooks, 'removeExpired'>): JobDefinition[] {
  return [
    {
      kind: 'inbound_webhook_retention',
      title: 'Forgets requests to inbound webhooks that are too old to be taken again',
      schedule: { everyMs: 60_000 },
      batchMax: 1_000,
      async run({ batchMax }) {
        const rows = await removeExpired(batchMax);
        return batchReport(rows, rows === batchMax);
      },
    },
  ];
}
