import type { Scope } from '../../kernel/ids.js';
import { isUuid } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { RouteConfig } from './config.js';
import { createRouteConfigStore } from './config-store.js';
import { routeNotFound } from './errors.js';
import { createRouteStore, type StoredRoute } from './store.js';

/** A route with what it does in each of its environments. */
export interface RouteDetail {
  readonly route: StoredRoute;
  /** That of the base environment. */
  readonly base: RouteConfig;
  /** All, in order of their environments. */
  readonly configs: readonly RouteConfig[];
}

export interface RouteReading {
  /** By id or slug; 404 where the caller's tenant and mode has none (dataplane.md §5.1). */
  find(scope: Scope, reference: string, tx?: Transaction): Promise<StoredRoute>;
  detail(scope: Scope, reference: string, tx?: Transaction): Promise<RouteDetail>;
  /** Held by the transaction, so that of two writers the second reads what the first wrote. */
  lock(tx: Transaction, scope: Scope, id: string): Promise<RouteDetail>;
}

export function createRouteReading(db: Database): RouteReading {
  const store = createRouteStore(db);
  const configStore = createRouteConfigStore(db);

  async function find(scope: Scope, reference: string, tx?: Transaction): Promise<StoredRoute> {
    const found = isUuid(reference)
      ? await store.find(scope, reference.toLowerCase(), tx)
      : await store.findBySlug(scope, reference, tx);
    if (!found) throw routeNotFound();
    return found;
  }

  async function detail(scope: Scope, reference: string, tx?: Transaction): Promise<RouteDetail> {
    const route = await find(scope, reference, tx);
    const configs = tx
      ? await configStore.ofRouteIn(tx, scope, route.id)
      : await configStore.ofRoute(scope, route.id);
    const base = baseOf(route, configs);
    // Read between the two statements of somebody who deletes it or renames its environment.
    if (!base) throw routeNotFound();
    return { route, base, configs };
  }

  return {
    find,
    detail,
    async lock(tx, scope, id) {
      await tx.lock('routes', id);
      return detail(scope, id, tx);
    },
  };
}

export function baseOf(route: StoredRoute, configs: readonly RouteConfig[]): RouteConfig | undefined {
  return configs.find(({ environment }) => environment === route.baseEnvironment);
}
