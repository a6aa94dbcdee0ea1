import { z } from 'zod';
import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { Authorities } from './authorities.js';
import { UPKEEP_JOB } from './service.js';

/** Where to go on: the ids of authorities of sealed tenants are passed by, not tried again at once. */
const payloadSchema = z.object({ after_id: z.string().default('') });

export function authorityJobs(authorities: Pick<Authorities, 'upkeep' | 'removeEnded'>): JobDefinition[] {
  return [
    {
      kind: UPKEEP_JOB,
      title: 'Signs revocation lists anew, and renews issuing authorities before they end',
      schedule: { everyMs: 600_000 },
      batchMax: 50,
      wakeDelayMs: 1_000,
      async run({ payload, batchMax }) {
        const { after_id } = payloadSchema.parse(payload);
        const { rows, nextId } = await authorities.upkeep(after_id, batchMax);
        return nextId === null
          ? { rows, payload: {} }
          : { rows, againInMs: 0, payload: { after_id: nextId } };
      },
    },
    {
      kind: 'authorities_retention',
      title: 'Forgets certificates and issuing authorities that ended 90 days ago',
      schedule: { everyMs: 3_600_000 },
      batchMax: 500,
      async run({ batchMax }) {
        const rows = await authorities.removeEnded(batchMax);
        return batchReport(rows, rows >= batchMax);
      },
    },
  ];
}
