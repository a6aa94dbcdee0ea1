import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { InboundWebhooks } from './inbound-webhooks.js';
import { DELIVERY_JOB } from './job-kinds.js';

export function inboundWebhookJobs({
  removeExpired,
  carry,
}: Pick<InboundWebhooks, 'removeExpired' | 'carry'>): JobDefinition[] {
  return [
    {
      kind: DELIVERY_JOB,
      title: 'Passes received requests on to routes',
      schedule: { everyMs: 10_000 },
      wakeDelayMs: 20,
      batchMax: 64,
      // A run ends with the last answer of an upstream.
      timeoutMs: 600_000,
      run: carry,
    },
    {
      kind: 'inbound_webhook_retention',
      title:
        'Forgets requests to inbound webhooks that are too old to be taken again, and those kept for 30 days',
      schedule: { everyMs: 60_000 },
      batchMax: 1_000,
      async run({ batchMax }) {
        const rows = await removeExpired(batchMax);
        return batchReport(rows, rows === batchMax);
      },
    },
  ];
}
