import { LIMITS } from '../../../kernel/limits.js';
import { batchReport, type JobDefinition } from '../../../platform/jobs/definition.js';
import type { Verification } from './verification.js';

export function tenantKmsJobs(verification: Verification): JobDefinition[] {
  return [
    {
      kind: 'tenant_kms_unseal',
      title: 'Asks the KMS of sealed tenants again',
      schedule: { everyMs: LIMITS.sealedRetryMs },
      batchMax: 100,
      async run({ batchMax }) {
        return { rows: await verification.retrySealed(batchMax) };
      },
    },
    {
      kind: 'tenant_kms_verify',
      title: "Checks each day that tenants' own keys open, and follows them to their newest version",
      schedule: { everyMs: 600_000 },
      batchMax: 50,
      async run({ batchMax }) {
        const rows = await verification.verifyDue(batchMax);
        return batchReport(rows, rows >= batchMax);
      },
    },
  ];
}
