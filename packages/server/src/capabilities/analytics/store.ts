import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { fromText, toText } from './counts.js';
import type { Group } from './groups.js';
import { type AnalyticsTables, analyticsTables } from './tables.js';
import type { Unit } from './units.js';

export interface RollupFilter {
  readonly routeId?: string | undefined;
  readonly environment?: string | undefined;
  readonly clientId?: string | undefined;
  readonly proxyMode?: string | undefined;
}

export interface Span {
  readonly unit: Unit;
  /** Inclusive. */
  readonly fromMs: number;
  /** Exclusive. */
  readonly toMs: number;
}

export type RollupStore = ReturnType<typeof createRollupStore>;

const KEY = ['unit', 'start', 'route_id', 'environment', 'client_id', 'proxy_mode'] as const;
/** Rows of one statement, and starts named in one. */
const AT_ONCE = 500;

export function createRollupStore(db: Database) {
  const view = db.view(analyticsTables);

  return {
    /** 0 where nothing is counted yet. */
    async position(scope: Scope, tx?: Transaction): Promise<number> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('log_rollup_positions')
        .select('last_id')
        .executeTakeFirst();
      return row?.last_id ?? 0;
    },

    async setPosition(tx: Transaction, scope: Scope, last_id: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('log_rollup_positions')
        .values({ last_id })
        .onConflict((conflict) =>
          conflict.columns(['tenant_id', 'sandbox']).doUpdateSet((eb) => ({
            last_id: eb.ref('excluded.last_id'),
          })),
        )
        .execute();
    },

    async ofStarts(tx: Transaction, scope: Scope, unit: Unit, starts: readonly number[]): Promise<Group[]> {
      const groups: Group[] = [];
      for (let at = 0; at < starts.length; at += AT_ONCE) {
        const rows = await view
          .scoped(scope, tx)
          .selectFrom('log_rollups')
          .selectAll()
          .where('unit', '=', unit)
          .where('start', 'in', starts.slice(at, at + AT_ONCE))
          .execute();
        groups.push(...rows.map(fromRow));
      }
      return groups;
    },

    async put(tx: Transaction, scope: Scope, groups: readonly Group[]): Promise<void> {
      for (let at = 0; at < groups.length; at += AT_ONCE) {
        await view
          .scoped(scope, tx)
          .insertInto('log_rollups')
          .values(groups.slice(at, at + AT_ONCE).map(toRow))
          .onConflict((conflict) =>
            conflict.columns(['tenant_id', 'sandbox', ...KEY]).doUpdateSet((eb) => ({
              counts: eb.ref('excluded.counts'),
            })),
          )
          .execute();
      }
    },

    /** What a span has, read aside. */
    async within(scope: Scope, { unit, fromMs, toMs }: Span, filter: RollupFilter): Promise<Group[]> {
      let query = view
        .aside(scope)
        .selectFrom('log_rollups')
        .selectAll()
        .where('unit', '=', unit)
        .where('start', '>=', fromMs)
        .where('start', '<', toMs);
      if (filter.routeId !== undefined) query = query.where('route_id', '=', filter.routeId);
      if (filter.environment !== undefined) query = query.where('environment', '=', filter.environment);
      if (filter.clientId !== undefined) query = query.where('client_id', '=', filter.clientId);
      if (filter.proxyMode !== undefined) query = query.where('proxy_mode', '=', filter.proxyMode);
      return (await query.execute()).map(fromRow);
    },

    /** The first tenant behind that one, in the order of ids, that has rollups. */
    async nextTenant(after: TenantId | null): Promise<TenantId | null> {
      const row = await view
        .system('retention')
        .selectFrom('log_rollups')
        .select((q) => q.fn.min('tenant_id').as('tenant_id'))
        .where('tenant_id', '>', (after ?? '') as TenantId)
        .executeTakeFirst();
      return row?.tenant_id ?? null;
    },

    /** Up to `limit` of the oldest of a unit, where they begin before then; how many. */
    async deleteOldest(scope: Scope, unit: Unit, beforeMs: number, limit: number): Promise<number> {
      const queries = view.scoped(scope);
      const oldest = await queries
        .selectFrom('log_rollups')
        .select('start')
        .where('unit', '=', unit)
        .where('start', '<', beforeMs)
        .orderBy('start')
        .limit(limit)
        .execute();
      const last = oldest.at(-1);
      if (last === undefined) return 0;
      // All groups of one start go together: it has no more than the bound.
      const gone = await queries
        .deleteFrom('log_rollups')
        .where('unit', '=', unit)
        .where('start', '<=', last.start)
        .returning('start')
        .execute();
      return gone.length;
    },
  };
}

function toRow(group: Group) {
  return {
    unit: group.unit,
    start: group.startMs,
    route_id: group.routeId,
    environment: group.environment,
    client_id: group.clientId,
    proxy_mode: group.proxyMode,
    counts: toText(group.counts),
  };
}

function fromRow(row: Selectable<AnalyticsTables['log_rollups']>): Group {
  return {
    unit: row.unit as Unit,
    startMs: row.start,
    routeId: row.route_id,
    environment: row.environment,
    clientId: row.client_id,
    proxyMode: row.proxy_mode,
    counts: fromText(row.counts),
  };
}
