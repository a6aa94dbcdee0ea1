import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { Dpop } from './service.js';

export function dpopJobs(dpop: Pick<Dpop, 'removeExpired'>): JobDefinition[] {
  return [
    {
      kind: 'dpop_proof_retention',
      title: 'Deletes DPoP proofs that are too old to be accepted again',
      schedule: { everyMs: 60_000 },
      batchMax: 1_000,
      async run({ batchMax }) {
        const { rows, hasMore } = await dpop.removeExpired(batchMax);
        return batchReport(rows, hasMore);
      },
    },
  ];
}
