import type { Clock } from '../../kernel/clock.js';
import type { IdSource } from '../../kernel/ids.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Jobs } from '../../platform/jobs/jobs.js';
import type { Outbox } from '../../platform/outbox/outbox.js';
import type { Database } from '../../platform/storage/database.js';
import type { Instruments } from '../../platform/telemetry/instruments.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { TenantKeys } from '../kms/index.js';
import { type CallersDatabases, createCallersDatabases } from './connections/crowd.js';
import { createDatabases, type Databases, type Engines } from './connections/databases.js';
import { createPreflight } from './connections/preflight.js';
import { type ConnectionStore, createConnectionStore } from './connections/store.js';
import { createLeaseClaims, type LeaseClaims } from './leases/claims.js';
import { createEnding, type Ending } from './leases/ending.js';
import { createForgetting, type Forgetting } from './leases/forgetting.js';
import { createProbes, type Probes } from './leases/probes.js';
import { createLeaseStore, type LeaseStore } from './leases/store.js';
import { SWEEP_JOB } from './leases/sweep.js';
import { createRoleStore, type RoleStore } from './roles/store.js';
import type { Transports } from './transports/transport.js';

export interface DynDbDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open'>;
  readonly auditLogs: Pick<AuditLogs, 'record' | 'recordAll'>;
  readonly outbox: Pick<Outbox, 'publish'>;
  readonly jobs: Pick<Jobs, 'enqueue' | 'wake'>;
  readonly engines: Engines;
  readonly transports: Transports;
  /** PEM of KNOX_EXTRA_CA_FILE. */
  readonly extraCa: string | null;
  readonly instruments: Instruments;
  /** `KNOX_LEASE_WORKER_PAUSED`: after a restore nothing is revoked that was not asked for (dyn-db.md §4). */
  readonly isWorkerPaused: boolean;
}

/** What the three nouns share. */
export interface DynDbParts extends DynDbDeps {
  readonly connections: ConnectionStore;
  readonly roles: RoleStore;
  readonly leases: LeaseStore;
  readonly claims: LeaseClaims;
  readonly databases: CallersDatabases;
  readonly workersDatabases: Databases;
  readonly ending: Ending;
  readonly forgetting: Forgetting;
  readonly probes: Probes;
  readonly preflight: ReturnType<typeof createPreflight>;
  /** Leases are due that no timer knows of yet. */
  wakeWorker(): void;
}

export function createParts(deps: DynDbDeps): DynDbParts {
  const connections = createConnectionStore(deps.db);
  const stores = {
    connections,
    roles: createRoleStore(deps.db),
    leases: createLeaseStore(deps.db),
    claims: createLeaseClaims(deps.db),
  };
  const workersDatabases = createDatabases({ ...deps, store: connections });
  const databases = createCallersDatabases(workersDatabases);
  return {
    ...deps,
    ...stores,
    databases,
    workersDatabases,
    ending: createEnding({ ...deps, ...stores }),
    forgetting: createForgetting({ ...deps, ...stores }),
    probes: createProbes({ ...deps, ...stores }),
    preflight: createPreflight({ ...deps, databases }),
    wakeWorker: () => deps.jobs.wake(SWEEP_JOB),
  };
}
