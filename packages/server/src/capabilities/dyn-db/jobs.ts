import { z } from 'zod';
import type { DbConnectionId, TenantId } from '../../kernel/ids.js';
import type { JobDefinition } from '../../platform/jobs/definition.js';
import { PLACES } from './leases/places.js';
import { LEASE_JOB, SWEEP_JOB, SWEEP_MS } from './leases/sweep.js';
import type { DynDb } from './service.js';

const payloadSchema = z.object({
  tenant_id: z.string(),
  sandbox: z.boolean(),
  connection_id: z.string(),
});

export function dynDbJobs(dynDb: Pick<DynDb, 'sweep' | 'endDue'>): JobDefinition[] {
  return [
    {
      kind: SWEEP_JOB,
      title: 'Finds database leases that are due, and when the next will be',
      schedule: { everyMs: SWEEP_MS },
      batchMax: 500,
      run: (context) => dynDb.sweep(context),
    },
    {
      kind: LEASE_JOB,
      title: 'Drops the users of the due leases of one connection',
      schedule: 'on_demand',
      batchMax: 100,
      concurrency: PLACES,
      retry: { attemptsMax: null, delayMsMax: 60_000 },
      run(context) {
        const { tenant_id, sandbox, connection_id } = payloadSchema.parse(context.payload);
        const place = {
          scope: { tenantId: tenant_id as TenantId, sandbox },
          connectionId: connection_id as DbConnectionId,
        };
        return dynDb.endDue(place, context);
      },
    },
  ];
}
