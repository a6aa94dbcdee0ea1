import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { OidcBindings } from './service.js';

export function oidcBindingJobs(bindings: Pick<OidcBindings, 'removeEnded'>): JobDefinition[] {
  return [
    {
      kind: 'oidc_retention',
      title: 'Removes spent assertions that have ended, and OIDC bindings that were deleted 90 days ago',
      schedule: { everyMs: 600_000 },
      batchMax: 500,
      async run({ batchMax }) {
        const { rows, hasMore } = await bindings.removeEnded(batchMax);
        return batchReport(rows, hasMore);
      },
    },
  ];
}
