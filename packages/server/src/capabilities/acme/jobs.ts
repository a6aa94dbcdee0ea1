import { z } from 'zod';
import type { RequestId, TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import { VALIDATION_JOB } from './authorizations.js';
import { ISSUANCE_ATTEMPTS_MAX } from './issuance.js';
import { ISSUANCE_JOB } from './orders.js';
import type { Acme } from './service.js';

const scopePayload = z.object({ tenant_id: z.string(), sandbox: z.boolean() });
const validationPayload = scopePayload.extend({ challenge_id: z.string() });
const issuancePayload = scopePayload.extend({
  order_id: z.string(),
  request_id: z.string().nullable(),
  ip: z.string().nullable(),
});

const ISSUED_AT_ONCE = 4;

export function acmeJobs(acme: Pick<Acme, 'validations' | 'issuance' | 'removeEnded'>): JobDefinition[] {
  return [
    {
      kind: VALIDATION_JOB,
      title: 'Asks whether an ACME client has a name, by http-01 or dns-01',
      schedule: 'on_demand',
      batchMax: 1,
      concurrency: LIMITS.acmeValidationsAtOnce,
      leaseMs: 15_000,
      timeoutMs: 60_000,
      run: (context) => {
        const { challenge_id, ...scope } = validationPayload.parse(context.payload);
        return acme.validations.run(scopeOf(scope), challenge_id, context);
      },
    },
    {
      kind: ISSUANCE_JOB,
      title: 'Makes the certificate of an ACME order',
      schedule: 'on_demand',
      batchMax: 1,
      concurrency: ISSUED_AT_ONCE,
      leaseMs: 15_000,
      timeoutMs: 60_000,
      retry: { attemptsMax: ISSUANCE_ATTEMPTS_MAX, delayMsMax: 60_000 },
      run: (context) => {
        const { order_id, request_id, ip, ...scope } = issuancePayload.parse(context.payload);
        const visitor = { requestId: request_id as RequestId | null, ip };
        const actor = { scope: scopeOf(scope), apiKeyId: null, userId: null, ...visitor };
        return acme.issuance.run(actor, order_id, context);
      },
    },
    {
      kind: 'acme_retention',
      title: 'Forgets used ACME nonces, orders 30 days after their end and accounts 90 days after theirs',
      schedule: { everyMs: 600_000 },
      batchMax: 100,
      async run({ batchMax }) {
        const { rows, hasMore } = await acme.removeEnded(batchMax);
        return batchReport(rows, hasMore);
      },
    },
  ];
}

function scopeOf({ tenant_id, sandbox }: z.output<typeof scopePayload>) {
  return { tenantId: tenant_id as TenantId, sandbox };
}
