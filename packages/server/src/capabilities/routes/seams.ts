import { permissionMissing } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import type { Generations } from '../../platform/cache/generations.js';
import { createScopeGeneration } from '../../platform/cache/scope-cache.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { EgressServerUser } from '../egress-servers/index.js';
import type { EnvironmentHolder } from '../environments/index.js';
import type { SecretUser } from '../secrets/index.js';
import { type ActionLeaveDeps, createActionLeave } from './actions/leave.js';
import { createRouteConfigStore } from './config-store.js';
import { createMovedRoutesStore } from './moved-store.js';
import { createRouteStore } from './store.js';
import { ROUTE_GENERATIONS } from './table/route-table.js';

const countOf = (count: number): string | null =>
  count === 0 ? null : count === 1 ? 'a route' : `${count} routes`;

export interface RouteEnvironmentsDeps {
  readonly db: Database;
  readonly generations: Pick<Generations, 'bump'>;
}

/** Configurations follow the name of their environment, and end with it; the base of a route stays (dataplane.md §4). */
export function createRouteEnvironments({ db, generations }: RouteEnvironmentsDeps): EnvironmentHolder {
  const store = createRouteStore(db);
  const configs = createRouteConfigStore(db);
  const changed = createScopeGeneration(ROUTE_GENERATIONS, generations);
  return {
    neededBy: async (tx, scope, name) => countOf(await store.countOfBase(tx, scope, name)),
    async rename(tx, scope, from, to) {
      const routes = await store.bumpOf(tx, scope, from);
      await store.renameBase(tx, scope, from, to);
      await configs.renameEnvironment(tx, scope, from, to);
      if (routes > 0) await changed(tx, scope);
    },
    async remove(tx, scope, name) {
      const routes = await store.bumpOf(tx, scope, name);
      const count = await configs.removeEnvironment(tx, scope, name);
      if (routes > 0) await changed(tx, scope);
      return { route_environments_deleted: count };
    },
    async variablesChanged(tx, scope, name) {
      if ((await store.bumpOf(tx, scope, name)) > 0) await changed(tx, scope);
    },
  };
}

/** Certificates that environments of routes show to upstreams (dataplane.md §3). */
export function createRouteSecretUser(db: Database): SecretUser {
  const configs = createRouteConfigStore(db);
  return {
    usedBy: async (tx, scope, secretId) =>
      countOf(await configs.countUsing(tx, scope, 'mtls_certificate_id', secretId)),
  };
}

/** What an `http:` call holds is read by whoever it goes by; who may write routes has unbound secrets sent there. */
const PLAIN = 'routes:write';

const isPlain = (target: string): boolean => new URL(target).protocol === 'http:';

/** Egress servers that environments of routes leave by (dataplane.md §8; docs/decisions/0102). */
export function createRouteEgressUser(db: Database, deps: ActionLeaveDeps): EgressServerUser {
  const configs = createRouteConfigStore(db);
  const store = createMovedRoutesStore(db);
  const leave = createActionLeave(deps);
  return {
    usedBy: async (tx, scope, serverId) =>
      countOf(await configs.countUsing(tx, scope, 'egress_server_id', serverId)),
    async requiredFor(scope, moved, tx) {
      const actions = await store.actions(scope, moved, tx);
      const hasPlain = (await store.targets(scope, moved, tx)).some(isPlain);
      return {
        fingerprint: JSON.stringify({ actions, hasPlain }),
        async require(caller) {
          if (hasPlain && !caller.principal.may(PLAIN)) throw permissionMissing(PLAIN);
          await leave.requireStill(caller, actions);
        },
      };
    },
  };
}

/** By id; without those that are no route of the tenant and mode. */
export type RouteNames = (
  scope: Scope,
  ids: readonly string[],
  tx?: Transaction,
) => Promise<ReadonlyMap<string, string>>;

/** For those that have ids of routes alone. */
export function createRouteNames(db: Database): RouteNames {
  const store = createRouteStore(db);
  return (scope, ids, tx) => store.names(scope, ids, tx);
}
