import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { type ListOptions, offsetOf } from '../../platform/http/pagination.js';
import { type Database, type Transaction, UniqueViolation } from '../../platform/storage/database.js';
import { sameNameOrSlug } from './errors.js';
import { type RouteRow, routeTables } from './tables.js';

/** What a route is; what it does stands in its environments (dataplane.md §5.1). */
export interface StoredRoute {
  readonly id: string;
  readonly scope: Scope;
  readonly name: string;
  readonly slug: string | null;
  readonly enabled: boolean;
  readonly baseEnvironment: string;
  readonly collectionId: string | null;
  readonly version: number;
  readonly createdBy: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface RouteListOptions extends ListOptions<'created_at' | 'name' | 'enabled'> {
  readonly enabled: boolean | undefined;
}

export type RouteStore = ReturnType<typeof createRouteStore>;

export function createRouteStore(db: Database) {
  const view = db.view(routeTables);

  async function one(
    scope: Scope,
    column: 'id' | 'slug',
    value: string,
    tx?: Transaction,
  ): Promise<StoredRoute | undefined> {
    const row = await view
      .scoped(scope, tx)
      .selectFrom('routes')
      .selectAll()
      .where(column, '=', value)
      .executeTakeFirst();
    return row && routeOf(row);
  }

  return {
    /** 409 where a route of the mode has its name or its slug. */
    async insert(tx: Transaction, route: StoredRoute): Promise<void> {
      await refusingSame(() =>
        view
          .scoped(route.scope, tx)
          .insertInto('routes')
          .values({
            id: route.id,
            base_environment: route.baseEnvironment,
            created_by: route.createdBy,
            created_at: route.createdAtMs,
            ...columnsOf(route),
          })
          .execute(),
      );
    },

    find: (scope: Scope, id: string, tx?: Transaction) => one(scope, 'id', id, tx),
    findBySlug: (scope: Scope, slug: string, tx?: Transaction) => one(scope, 'slug', slug, tx),

    /** Those of the slugs that routes have. */
    async slugsTaken(tx: Transaction, scope: Scope, slugs: readonly string[]): Promise<Set<string>> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('routes')
        .select('slug')
        .where('slug', 'in', slugs)
        .execute();
      return new Set(rows.map(({ slug }) => slug!));
    },

    async list(
      scope: Scope,
      { sort, order, page, perPage, enabled }: RouteListOptions,
    ): Promise<StoredRoute[]> {
      let query = view.aside(scope).selectFrom('routes').selectAll();
      if (enabled !== undefined) query = query.where('enabled', '=', Number(enabled));
      const rows = await query
        .orderBy(sort, order)
        .orderBy('id', order)
        .limit(perPage)
        .offset(offsetOf(page, perPage))
        .execute();
      return rows.map(routeOf);
    },

    async count(scope: Scope, enabled?: boolean): Promise<number> {
      let query = view
        .aside(scope)
        .selectFrom('routes')
        .select(({ fn }) => fn.countAll<number>().as('total'));
      if (enabled !== undefined) query = query.where('enabled', '=', Number(enabled));
      return (await query.executeTakeFirstOrThrow()).total;
    },

    async countIn(tx: Transaction, scope: Scope): Promise<number> {
      const { total } = await view
        .scoped(scope, tx)
        .selectFrom('routes')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    async names(scope: Scope, ids: readonly string[], tx?: Transaction): Promise<Map<string, string>> {
      if (ids.length === 0) return new Map();
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('routes')
        .select(['id', 'name'])
        .where('id', 'in', ids)
        .execute();
      return new Map(rows.map(({ id, name }) => [id, name]));
    },

    async update(tx: Transaction, route: StoredRoute): Promise<void> {
      await refusingSame(() =>
        view
          .scoped(route.scope, tx)
          .updateTable('routes')
          .set(columnsOf(route))
          .where('id', '=', route.id)
          .execute(),
      );
    },

    /** What it has besides goes first. */
    async delete(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('routes').where('id', '=', id).execute();
    },

    async countOfBase(tx: Transaction, scope: Scope, environment: string): Promise<number> {
      const { total } = await view
        .scoped(scope, tx)
        .selectFrom('routes')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .where('base_environment', '=', environment)
        .executeTakeFirstOrThrow();
      return total;
    },

    async renameBase(tx: Transaction, scope: Scope, from: string, to: string): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('routes')
        .set({ base_environment: to })
        .where('base_environment', '=', from)
        .execute();
    },

    /** Those that are configured for an environment are others now; how many. */
    async bumpOf(tx: Transaction, scope: Scope, environment: string): Promise<number> {
      const rows = await view
        .scoped(scope, tx)
        .updateTable('routes')
        .set(({ eb }) => ({ version: eb('version', '+', 1) }))
        .where('id', 'in', ({ selectFrom }) =>
          selectFrom('route_environment_configs')
            .select('route_id')
            .where('environment_name', '=', environment),
        )
        .returning('id')
        .execute();
      return rows.length;
    },
  };
}

/** Of two that take a name at once one is refused by the database. */
async function refusingSame(write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (error instanceof UniqueViolation) throw sameNameOrSlug();
    throw error;
  }
}

function columnsOf(route: StoredRoute) {
  return {
    name: route.name,
    slug: route.slug,
    enabled: Number(route.enabled),
    collection_id: route.collectionId,
    version: route.version,
    updated_at: route.updatedAtMs,
  };
}

function routeOf(row: Selectable<RouteRow>): StoredRoute {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    name: row.name,
    slug: row.slug,
    enabled: row.enabled === 1,
    baseEnvironment: row.base_environment,
    collectionId: row.collection_id,
    version: row.version,
    createdBy: row.created_by,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}
