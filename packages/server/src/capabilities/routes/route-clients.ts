import type { Scope } from '../../kernel/ids.js';
import type { Caller } from '../../kernel/principal.js';
import type { Transaction } from '../../platform/storage/database.js';
import type { Assignments, RouteEnvironment } from '../clients/index.js';
import type { RouteReading } from './aggregate.js';
import { environmentNotFound } from './errors.js';

/** Which clients may call a route in one of its environments (clients-pki.md §1.3). 404 of what is not configured. */
export interface RouteClients {
  list(caller: Caller, route: string, environment: string): Promise<string[]>;
  replace(
    caller: Caller,
    route: string,
    environment: string,
    clientIds: readonly string[],
  ): Promise<string[]>;
  assign(caller: Caller, route: string, environment: string, clientId: string): Promise<void>;
  unassign(caller: Caller, route: string, environment: string, clientId: string): Promise<void>;
}

export interface RouteClientsDeps {
  readonly reading: RouteReading;
  readonly assignments: Pick<Assignments, 'list' | 'replace' | 'assign' | 'unassign'>;
}

export function createRouteClients({ reading, assignments }: RouteClientsDeps): RouteClients {
  async function placeOf(scope: Scope, reference: string, environment: string): Promise<RouteEnvironment> {
    const { route, configs } = await reading.detail(scope, reference);
    if (!configs.some((config) => config.environment === environment)) throw environmentNotFound();
    return { routeId: route.id, environment };
  }

  /** Of two calls, one of which takes the environment away, the later one sees what the first has done. */
  const stillThere = (scope: Scope, at: RouteEnvironment) => async (tx: Transaction) => {
    const { configs } = await reading.lock(tx, scope, at.routeId);
    if (!configs.some(({ environment }) => environment === at.environment)) throw environmentNotFound();
  };

  return {
    async list({ principal: { scope } }, route, environment) {
      return assignments.list(scope, await placeOf(scope, route, environment));
    },
    async replace(caller, route, environment, clientIds) {
      const { scope } = caller.principal;
      const at = await placeOf(scope, route, environment);
      return assignments.replace(caller, at, clientIds, stillThere(scope, at));
    },
    async assign(caller, route, environment, clientId) {
      const { scope } = caller.principal;
      const at = await placeOf(scope, route, environment);
      await assignments.assign(caller, at, clientId, stillThere(scope, at));
    },
    async unassign(caller, route, environment, clientId) {
      await assignments.unassign(caller, await placeOf(caller.principal.scope, route, environment), clientId);
    },
  };
}
