import type { TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
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
  /** Makes every lease of a tenant end that still lives, in both modes; how many do. Null while the worker is paused. */
  endAllOf(tenantId: TenantId): Promise<number | null>;
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
    async endAllOf(tenantId) {
      if (deps.isWorkerPaused) return null;
      const { leases } = parts;
      let live = 0;
      for (const sandbox of [false, true]) {
        const scope = { tenantId, sandbox };
        await deps.db.transaction(async (tx) => {
          const limit = LIMITS.leasesChangedAtOnce;
          const asked = await leases.askToEnd(tx, scope, {}, 'revoked', deps.clock.nowMs(), limit);
          if (asked > 0) tx.afterCommit(parts.wakeWorker);
        });
        live += await leases.countLiveOf(scope);
      }
      return live;
    },
    rotateAdminPassword: createRotation(parts),
    sweep,
    // One that was enqueued before the pause.
    endDue: async (place, context) => (deps.isWorkerPaused ? { rows: 0 } : worker.endDue(place, context)),
  };
}
