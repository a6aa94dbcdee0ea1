import type { ApiLogs } from '../capabilities/api-logs/index.js';
import type { AuditLogs } from '../capabilities/audit-logs/index.js';
import type { Clients } from '../capabilities/clients/index.js';
import type { CryptoKeyRecords } from '../capabilities/crypto-keys/index.js';
import type { EgressAllowlist } from '../capabilities/egress-allowlist/index.js';
import type { EgressServers } from '../capabilities/egress-servers/index.js';
import type { Environments } from '../capabilities/environments/index.js';
import type { Plans } from '../capabilities/plans/index.js';
import { createRoutedRules } from '../capabilities/redaction/index.js';
import { createRoutes, type Routes } from '../capabilities/routes/index.js';
import { createSecretOfType, type Secrets } from '../capabilities/secrets/index.js';
import type { Vaults } from '../capabilities/vaults/index.js';
import type { Generations } from '../platform/cache/generations.js';
import { cacheCounts } from '../platform/cache/lru.js';
import type { ServicesDeps } from './services-deps.js';

interface RouteServicesDeps extends ServicesDepsOfRoutes {
  readonly generations: Generations;
  readonly auditLogs: AuditLogs;
  readonly plans: Plans;
  readonly environments: Environments;
  readonly secrets: Secrets;
  readonly clients: Clients;
  readonly egressAllowlist: EgressAllowlist;
  readonly egressServers: EgressServers;
  readonly cryptoRecords: CryptoKeyRecords;
  readonly vaults: Vaults;
  readonly apiLogs: ApiLogs;
}

type ServicesDepsOfRoutes = Pick<ServicesDeps, 'db' | 'clock' | 'ids' | 'egress' | 'instruments'>;

/** Routes, with what of other nouns they refer to. */
export function createRouteServices(deps: RouteServicesDeps): Routes {
  return createRoutes({
    ...deps,
    assignments: deps.clients.assignments,
    cryptoKeys: deps.cryptoRecords,
    references: {
      isCertificate: createSecretOfType(deps.db, 'certificate'),
      isEgressServer: async (scope, id, tx) => (await deps.egressServers.find(scope, id, tx)) !== undefined,
    },
    holders: [createRoutedRules(deps)],
    cacheCounts: cacheCounts(deps.instruments, 'routes'),
  });
}
