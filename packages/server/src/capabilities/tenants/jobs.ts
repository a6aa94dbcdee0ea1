import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { TenantRemoval } from './removal.js';

export const REMOVAL_JOB = 'tenant_removal';

export function tenantJobs(removal: TenantRemoval): JobDefinition[] {
  return [
    {
      kind: REMOVAL_JOB,
      title: 'Removes what deleted tenants have left: database users, keys, rows',
      schedule: { everyMs: 60_000 },
      batchMax: 1_000,
      async run({ batchMax }) {
        const { rows, hasMore } = await removal.step(batchMax);
        return batchReport(rows, hasMore);
      },
    },
  ];
}
