import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { AuditChain } from './chain/service.js';

/** Sealing is not among them: its bound is 250 ms (docs/decisions/0031-audit-chain.md). */
export function auditJobs(chain: Pick<AuditChain, 'writeCheckpoints' | 'trim'>): JobDefinition[] {
  return [
    {
      kind: 'audit_checkpoint',
      title: 'Signs the heads of audit chains that have grown for a minute or by 10,000 rows',
      // A chain is due by its rows as well, within a minute.
      schedule: { everyMs: 5_000 },
      batchMax: 100,
      async run({ batchMax }) {
        const rows = await chain.writeCheckpoints(batchMax);
        return batchReport(rows, rows >= batchMax);
      },
    },
    {
      kind: 'audit_trim',
      title: 'Removes audit rows that retention no longer keeps',
      schedule: { everyMs: 3_600_000 },
      batchMax: 10_000,
      async run({ batchMax, isStopping, signal }) {
        const rows = await chain.trim(batchMax, () => isStopping() || signal.aborted);
        return batchReport(rows, rows >= batchMax || isStopping());
      },
    },
  ];
}
