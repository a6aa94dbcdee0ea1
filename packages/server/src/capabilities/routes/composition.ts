import type { Clock } from '../../kernel/clock.js';
import type { IdSource } from '../../kernel/ids.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { CacheCounts } from '../../platform/cache/lru.js';
import type { Egress } from '../../platform/egress/egress.js';
import type { Database } from '../../platform/storage/database.js';
import type { ApiLogs } from '../api-logs/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { Assignments } from '../clients/index.js';
import type { CryptoKeyRecords } from '../crypto-keys/index.js';
import type { EgressAllowlist } from '../egress-allowlist/index.js';
import { createTargetCheck } from '../egress-allowlist/index.js';
import type { Environments } from '../environments/index.js';
import type { Plans } from '../plans/index.js';
import type { Secrets } from '../secrets/index.js';
import type { Vaults } from '../vaults/index.js';
import { createActionLeave } from './actions/leave.js';
import { createRouteActions, type RouteActions } from './actions/service.js';
import { createRouteReading } from './aggregate.js';
import { createRouteConfigStore } from './config-store.js';
import { createRouteJudge } from './judging.js';
import { createRouteLogs, type RouteLogs } from './logs.js';
import { createRouteClients, type RouteClients } from './route-clients.js';
import { createRouteRecords, type RouteHolder, type RouteRecords } from './service.js';
import { createRouteStore } from './store.js';
import { createRouteTable } from './table/route-table.js';
import type { RouteTable } from './types.js';
import { createRouteWriting, type RouteReferences } from './writing.js';

export interface RoutesDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly generations: Pick<Generations, 'bump' | 'current' | 'isFresh'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly plans: Pick<Plans, 'roomFor'>;
  readonly environments: Pick<Environments, 'find' | 'defaultOf' | 'variablesOf'>;
  readonly secrets: Pick<Secrets, 'check'>;
  readonly assignments: Assignments;
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
  readonly cryptoKeys: Pick<CryptoKeyRecords, 'get'>;
  readonly vaults: Pick<Vaults, 'get'>;
  readonly apiLogs: Pick<ApiLogs, 'ofRoute'>;
  readonly references: RouteReferences;
  readonly holders: readonly RouteHolder[];
  readonly cacheCounts?: CacheCounts;
}

/** Configured ways to upstreams (dataplane.md §5): what users do with them, and where the proxy finds them. */
export interface Routes {
  readonly records: RouteRecords;
  readonly actions: RouteActions;
  readonly clients: RouteClients;
  readonly logs: RouteLogs;
  readonly table: RouteTable;
}

export function createRoutes(deps: RoutesDeps): Routes {
  const { db, environments } = deps;
  const reading = createRouteReading(db);
  const store = createRouteStore(db);
  const configStore = createRouteConfigStore(db);
  const table = createRouteTable({ ...deps, variablesOf: environments.variablesOf });
  const leave = createActionLeave(deps);
  const judge = createRouteJudge({
    ...deps,
    targets: createTargetCheck({ ...deps, mayBePlain: true }),
    leave,
  });
  const writing = createRouteWriting({ ...deps, reading, store, configStore, judge, table });
  return {
    records: createRouteRecords({ ...deps, reading, store, configStore, judge, writing }),
    actions: createRouteActions({ ...deps, leave, reading, writing }),
    clients: createRouteClients({ ...deps, reading }),
    logs: createRouteLogs({ ...deps, reading }),
    table,
  };
}
