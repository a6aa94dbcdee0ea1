import type { Accounts } from '../capabilities/accounts/index.js';
import { createProofStore, createReplays } from '../capabilities/dpop/index.js';
import {
  createFieldActions,
  createProxy,
  createRouteProxy,
  type ProxyDeps,
  type RouteProxyDeps,
} from '../capabilities/proxy/index.js';
import type { Generations } from '../platform/cache/generations.js';
import type { Database } from '../platform/storage/database.js';
import { createHostTenants } from './host-tenants.js';

type Installation = Pick<ProxyDeps, 'deploymentId' | 'certificateHeader'>;

type Deps = Omit<ProxyDeps & RouteProxyDeps, keyof Installation | 'tenants' | 'replays' | 'fieldActions'> &
  Parameters<typeof createFieldActions>[0] & {
    readonly db: Database;
    readonly accounts: Accounts;
    readonly generations: Generations;
  };

/** Both ways through the data plane: where a call says where it goes, and where a route does. */
export function createProxies(deps: Deps) {
  const { db, clock, accounts, generations } = deps;
  const ofRoutes = {
    tenants: createHostTenants(accounts, generations),
    // Nonces of signed requests share the table of proofs: each is good once, in every process.
    replays: createReplays({ store: createProofStore(db), clock }),
    fieldActions: createFieldActions(deps),
  };
  return {
    proxy: (installation: Installation) => createProxy({ ...deps, ...installation }),
    routeProxy: (installation: Installation) => createRouteProxy({ ...deps, ...ofRoutes, ...installation }),
  };
}
