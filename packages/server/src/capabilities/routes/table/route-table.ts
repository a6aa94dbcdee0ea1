import { setImmediate as nextTurn } from 'node:timers/promises';
import { isUuid, modeOf, type Scope } from '../../../kernel/ids.js';
import { isPending, type Promisable } from '../../../kernel/promisable.js';
import type { Generations } from '../../../platform/cache/generations.js';
import { type CacheCounts, createLru } from '../../../platform/cache/lru.js';
import { createScopeCache, type ScopeCache } from '../../../platform/cache/scope-cache.js';
import type { Database } from '../../../platform/storage/database.js';
import { createRouteActionStore } from '../actions/store.js';
import { createRouteConfigStore } from '../config-store.js';
import { createRouteStore } from '../store.js';
import type { CallableRoute, RoutePlace, RouteTable } from '../types.js';
import { callableRoute, type Variables } from './callable-route.js';
import { createRouteIndexStore } from './index-store.js';

export interface RouteTableDeps {
  readonly db: Database;
  readonly generations: Pick<Generations, 'bump' | 'current' | 'isFresh'>;
  readonly cacheCounts?: CacheCounts;
  /** By environment. */
  variablesOf(scope: Scope): Promise<ReadonlyMap<string, Variables>>;
}

/** A route of a tenant and mode, and what its whole is kept under: another version is kept apart. */
interface Entry extends RoutePlace {
  readonly key: string;
}

interface RouteIndex {
  readonly weight: number;
  find(reference: string): Entry | undefined;
}

interface Kept {
  readonly route: CallableRoute | undefined;
  readonly weight: number;
}

/** Of each tenant and mode; whoever changes a route ends it. */
export const ROUTE_GENERATIONS = 'routes';

/** Names and slugs of routes that are held, of all tenants together. */
const INDEXED_MAX = 1_000_000;
/** Environments and actions of those that are called, some kilobytes each. */
const HELD_MAX = 20_000;

/**
 * Which routes there are is read again after any change of a tenant and mode; a route itself only when its version is
 * another, so that its settings stay the objects that they are.
 */
export function createRouteTable(deps: RouteTableDeps): RouteTable & Pick<ScopeCache<unknown>, 'changed'> {
  const { db, generations, variablesOf } = deps;
  const indexStore = createRouteIndexStore(db);
  const routes = createRouteStore(db);
  const configs = createRouteConfigStore(db);
  const actions = createRouteActionStore(db);
  const indexes = createScopeCache<RouteIndex>({
    name: ROUTE_GENERATIONS,
    generations,
    counts: deps.cacheCounts,
    weightMax: INDEXED_MAX,
    weigh: ({ weight }) => weight,
    load: loadIndex,
  });
  const kept = createLru<string, Kept>({ entriesMax: HELD_MAX, weigh: ({ weight }) => weight });

  async function loadIndex(scope: Scope): Promise<RouteIndex> {
    const byId = new Map<string, Entry>();
    const bySlug = new Map<string, Entry>();
    const byName = new Map<string, Entry>();
    const place = `${scope.tenantId}:${modeOf(scope)}`;
    for await (const rows of indexStore.windows(scope)) {
      for (const { id, name, slug, baseEnvironment, version } of rows) {
        const entry = { id, baseEnvironment, key: `${place}:${id}:${version}` };
        byId.set(id, entry);
        byName.set(name, entry);
        if (slug !== null) bySlug.set(slug, entry);
      }
      // What SQLite reads, it reads in the event loop.
      await nextTurn();
    }
    return {
      weight: 1 + byId.size,
      find(reference) {
        const ofId = isUuid(reference) ? byId.get(reference.toLowerCase()) : undefined;
        return ofId ?? bySlug.get(reference) ?? byName.get(reference);
      },
    };
  }

  /** The row of the route is read first: what is changed behind it has another version, and is read again. */
  async function read(scope: Scope, id: string): Promise<Kept> {
    const route = await routes.find(scope, id);
    if (route === undefined) return { route, weight: 1 };
    const configured = await configs.ofRoute(scope, id);
    const applied = await actions.ofRoute(scope, id);
    const whole = callableRoute(route, configured, applied, await variablesOf(scope));
    return { route: whole, weight: 1 + configured.length + applied.length };
  }

  function whole(scope: Scope, entry: Entry | undefined): Promisable<CallableRoute | undefined> {
    if (entry === undefined) return undefined;
    const known = kept.get(entry.key);
    if (known !== undefined) return known.route;
    return kept.load(entry.key, () => read(scope, entry.id)).then(({ route }) => route);
  }

  return {
    find(scope, reference) {
      const index = indexes.get(scope);
      if (isPending(index)) return index.then((loaded) => whole(scope, loaded.find(reference)));
      return whole(scope, index.find(reference));
    },
    place(scope, reference) {
      const index = indexes.get(scope);
      return isPending(index) ? index.then((loaded) => loaded.find(reference)) : index.find(reference);
    },
    changed: indexes.changed,
  };
}
