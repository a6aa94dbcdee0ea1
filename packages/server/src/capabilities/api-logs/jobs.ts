import type { TenantId } from '../../kernel/ids.js';
import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { LogAnchors } from './anchors/service.js';
import type { ApiLogs } from './service.js';

export function apiLogJobs(
  apiLogs: Pick<ApiLogs, 'trim'>,
  logAnchors: Pick<LogAnchors, 'anchor'>,
): JobDefinition[] {
  return [
    {
      kind: 'request_log_retention',
      title: 'Removes rows of the request log that the plan, or KNOX_LOG_RETENTION_DAYS, no longer keeps',
      schedule: { everyMs: 3_600_000 },
      batchMax: 10_000,
      async run({ batchMax, payload, isStopping, signal }) {
        const after = typeof payload.after === 'string' ? (payload.after as TenantId) : null;
        const { rows, days, rest } = await apiLogs.trim(batchMax, () => isStopping() || signal.aborted, {
          after,
        });
        return { ...batchReport(rows, rest !== null), payload: { ...rest }, details: { days } };
      },
    },
    {
      kind: 'request_log_anchor',
      title: 'Puts the Merkle roots of new rows of the request log into the critical audit chain',
      schedule: { everyMs: 300_000 },
      batchMax: 100_000,
      run: (context) => logAnchors.anchor(context),
    },
  ];
}
