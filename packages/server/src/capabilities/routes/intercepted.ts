import type { Scope } from '../../kernel/ids.js';
import type { Database } from '../../platform/storage/database.js';
import { routeTables } from './tables.js';

/** A route whose target SDKs divert calls from, in one environment (dataplane.md §3.1). */
export interface InterceptedRoute {
  readonly id: string;
  readonly slug: string | null;
  readonly targetBaseUrl: string;
  readonly requiresClients: boolean;
  /** Null: any. */
  readonly allowedMethods: readonly string[] | null;
  readonly updatedAtMs: number;
}

export interface InterceptedRoutes {
  /** Those that can be called there. Targets of single methods are left out: a manifest has one target a route. */
  of(scope: Scope, environment: string): Promise<InterceptedRoute[]>;
}

/** What is inherited, of the environment and of the base, with the same rule as for calls: `settings.ts`. */
const TEXTS = ['target_base_url', 'allowed_methods'] as const;
const FLAGS = ['requires_clients', 'http_method_restrictions_enabled', 'intercept_enabled'] as const;

export function createInterceptedRoutes(db: Database): InterceptedRoutes {
  const view = db.view(routeTables);

  return {
    async of(scope, environment) {
      const rows = await view
        .aside(scope)
        .selectFrom(['routes as r', 'route_environment_configs as c', 'route_environment_configs as b'])
        .select(['r.id', 'r.slug', 'r.updated_at', 'c.updated_at as own_updated_at'])
        .select('b.updated_at as base_updated_at')
        .select(TEXTS.map((name) => `c.${name} as own_${name}` as const))
        .select(TEXTS.map((name) => `b.${name} as base_${name}` as const))
        .select(FLAGS.map((name) => `c.${name} as own_${name}` as const))
        .select(FLAGS.map((name) => `b.${name} as base_${name}` as const))
        .whereRef('c.route_id', '=', 'r.id')
        .whereRef('b.route_id', '=', 'r.id')
        .whereRef('b.environment_name', '=', 'r.base_environment')
        .where('c.environment_name', '=', environment)
        .where('r.enabled', '=', 1)
        .where('c.enabled', '=', 1)
        .where(({ eb, fn }) => eb(fn.coalesce('c.intercept_enabled', 'b.intercept_enabled'), '=', 1))
        .execute();
      return rows.flatMap((row) => {
        const targetBaseUrl = row.own_target_base_url ?? row.base_target_base_url;
        if (targetBaseUrl === null) return [];
        const restricts =
          row.own_http_method_restrictions_enabled ?? row.base_http_method_restrictions_enabled;
        const methods = listOf(row.own_allowed_methods) ?? listOf(row.base_allowed_methods) ?? [];
        return {
          id: row.id,
          slug: row.slug,
          targetBaseUrl,
          requiresClients: (row.own_requires_clients ?? row.base_requires_clients) === 1,
          allowedMethods: restricts === 1 ? methods : null,
          updatedAtMs: Math.max(row.updated_at, row.own_updated_at, row.base_updated_at),
        };
      });
    },
  };
}

/** An empty one is as none (dataplane.md §4). */
function listOf(text: string | null): readonly string[] | null {
  const list = text === null ? [] : (JSON.parse(text) as string[]);
  return list.length === 0 ? null : list;
}
