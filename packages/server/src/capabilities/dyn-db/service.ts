import type { Caller } from '../../kernel/principal.js';
import type { JobContext, JobReport } from '../../platform/jobs/definition.js';
import { createRotation } from './connections/rotation.js';
import { type Connections, createConnections } from './connections/service.js';
import { createParts, type DynDbDeps } from './deps.js';
import type { ConnectionPlace } from './leases/claims.js';
import { createLeases, type Leases } from './leases/service.js';
import { createLeaseSweep } from './leases/sweep.js';
import { createLeaseWorker } from './leases/worker.js';
import { createDynDbMetrics } from './metrics.js';
import { createRoles, type Roles } from './roles/service.js';

export interface DynDb {
  readonly connections: Connections;
  readonly roles: Roles;
  readonly leases: Leases;
  rotateAdminPassword(caller: Caller, name: string): Promise<void>;
  /** Has what is due worked off, connection by connection. */
  sweep(context: Pick<JobContext, 'batchMax'>): Promise<JobReport>;
  /** Ends what is due of one connection. */
  endDue(
    place: ConnectionPlace,
    context: Pick<JobContext, 'batchMax' | 'isStopping' | 'signal'>,
  ): Promise<JobReport>;
}

export function createDynDb(deps: DynDbDeps): DynDb {
  const parts = createParts(deps);
  const metrics = createDynDbMetrics(deps.instruments, deps.clock);
  const sweep = createLeaseSweep({ ...parts, onCounts: metrics.counted });
  const worker = createLeaseWorker({
    ...parts,
    databases: parts.workersDatabases,
    onDropped: metrics.dropped,
  });

  return {
    connections: createConnections(parts),
    roles: createRoles(parts),
    leases: createLeases(parts, metrics.timeMint),
    rotateAdminPassword: createRotation(parts),
    sweep,
    // One that was enqueued before the pause.
    endDue: async (place, context) => (deps.isWorkerPaused ? { rows: 0 } : worker.endDue(place, context)),
  };
}
