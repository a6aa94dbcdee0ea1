import { type Selectable, sql } from 'kysely';
import type { RequestId, Scope, TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { ProxyMode } from '../../kernel/proxy-mode.js';
import type { Database, Insertion } from '../../platform/storage/database.js';
import { type LogLeaf, leafOf, storedLeaf } from './anchors/leaf.js';
import type { ApiLog, ApiLogEntry, ClientOrigin, LogWarning } from './api-log.js';
import { type ApiLogFilter, filtered } from './filter.js';
import { type ApiLogRow, apiLogTables } from './tables.js';

export interface FeedWindow {
  readonly afterId: number;
  /** Inclusive; null = to the end. */
  readonly upToId: number | null;
  readonly limit: number;
  /** Nothing at or behind the first row handed over later than this is shown; null = show all. */
  readonly youngSinceMs: number | null;
}

export interface NumberedRow {
  readonly id: number;
  readonly loggedAtMs: number;
}

/** Rows that are alike in all that is counted. */
export interface TalliedCalls
  extends Pick<
    ApiLog,
    | 'routeId'
    | 'environment'
    | 'matchedClientId'
    | 'proxyMode'
    | 'statusCode'
    | 'latencyMs'
    | 'error'
    | 'rateLimited'
  > {
  /** The minute in which they began. */
  readonly tsMs: number;
  readonly calls: number;
  /** The highest of their numbers. */
  readonly lastId: number;
}

const TALLIED = [
  'route_id',
  'environment',
  'matched_client_id',
  'proxy_mode',
  'status_code',
  'latency_ms',
  'error',
  'rate_limited',
] as const;
const MINUTE_MS = 60_000;

export interface ApiLogStore {
  insertion(entry: ApiLogEntry, loggedAtMs: number): Insertion;
  /** Id of the row that stands `rows` behind that one; null where fewer are to be shown. */
  windowEnd(
    scope: Scope,
    window: Pick<FeedWindow, 'afterId' | 'youngSinceMs'>,
    rows: number,
  ): Promise<number | null>;
  /** Ascending by id. */
  feed(scope: Scope, filter: ApiLogFilter, window: FeedWindow): Promise<ApiLog[]>;
  findByRequestId(scope: Scope, requestId: string): Promise<ApiLog | undefined>;
  /** Leaves of those numbered behind that one, ascending, read aside; none at or behind the first row younger than that. */
  settledLeaves(
    scope: Scope,
    afterId: number,
    limit: number,
    youngSinceMs: number | null,
  ): Promise<LogLeaf[]>;
  /** Of the rows whose leaves `settledLeaves` would give, counts. */
  tally(scope: Scope, afterId: number, limit: number, youngSinceMs: number | null): Promise<TalliedCalls[]>;
  /** Leaves of rows with numbers of that range, both inclusive, ascending, read aside. */
  leavesBetween(scope: Scope, fromId: number, toId: number, limit: number): Promise<LogLeaf[]>;
  /** The newest first, read aside. */
  ofRoute(scope: Scope, routeId: string, limit: number, offset: number): Promise<ApiLog[]>;
  countOfRoute(scope: Scope, routeId: string): Promise<number>;
  /** The first row with that number or a higher one. */
  firstFrom(scope: Scope, id: number): Promise<NumberedRow | undefined>;
  lastId(scope: Scope): Promise<number>;
  /** The first tenant behind that one, in the order of ids, that has rows of calls that began then or later. */
  nextTenant(after: TenantId | null, sinceMs?: number | null): Promise<TenantId | null>;
  /** Up to `limit` of the rows numbered first, where their call began before then; how many. */
  deleteOldest(scope: Scope, beforeMs: number, limit: number): Promise<number>;
}

export function createApiLogStore(db: Database): ApiLogStore {
  const view = db.view(apiLogTables);
  const leaf = storedLeaf(db.dialect);
  type Queries = Pick<ReturnType<typeof view.scoped>, 'selectFrom'>;

  async function firstYoungId(from: Queries, youngSinceMs: number): Promise<number | null> {
    const row = await from
      .selectFrom('api_logs')
      .select((q) => q.fn.min('id').as('first_id'))
      .where('logged_at', '>', youngSinceMs)
      .executeTakeFirst();
    return row?.first_id ?? null;
  }

  /** Rows that may be shown by now, in the order of their numbers. */
  async function shown(
    scope: Scope,
    { afterId, youngSinceMs }: Pick<FeedWindow, 'afterId' | 'youngSinceMs'>,
    from: Queries = view.scoped(scope),
  ) {
    const barrier = youngSinceMs === null ? null : await firstYoungId(from, youngSinceMs);
    let query = from.selectFrom('api_logs').where('id', '>', afterId).orderBy('id', 'asc');
    if (barrier !== null) query = query.where('id', '<', barrier);
    // A row committed between the two queries is young too.
    if (youngSinceMs !== null) query = query.where('logged_at', '<=', youngSinceMs);
    return { query };
  }

  return {
    insertion: (entry, loggedAtMs) => view.insertion('api_logs', entry.scope, toColumns(entry, loggedAtMs)),

    async windowEnd(scope, window, rows) {
      const { query } = await shown(scope, window);
      const row = await query
        .select('id')
        .limit(1)
        .offset(rows - 1)
        .executeTakeFirst();
      return row?.id ?? null;
    },

    async feed(scope, filter, window) {
      let { query } = await shown(scope, window);
      if (window.upToId !== null) query = query.where('id', '<=', window.upToId);
      query = filtered(query, filter);
      return (await query.selectAll().limit(window.limit).execute()).map(fromRow);
    },

    async findByRequestId(scope, requestId) {
      const row = await view
        .scoped(scope)
        .selectFrom('api_logs')
        .selectAll()
        .where('request_id', '=', requestId)
        .orderBy('id', 'asc')
        .executeTakeFirst();
      return row === undefined ? undefined : fromRow(row);
    },

    async settledLeaves(scope, afterId, limit, youngSinceMs) {
      const { query } = await shown(scope, { afterId, youngSinceMs }, view.aside(scope));
      const rows = await query.select(leaf).limit(limit).execute();
      return rows.map((row) => leafOf(row.leaf));
    },

    async tally(scope, afterId, limit, youngSinceMs) {
      const aside = view.aside(scope);
      const { query } = await shown(scope, { afterId, youngSinceMs }, aside);
      const minute = sql<number>`ts - ts % ${sql.lit(MINUTE_MS)}`.as('minute');
      const rows = await aside
        .selectFrom(
          query
            .select(['id', minute, ...TALLIED])
            .limit(limit)
            .as('settled'),
        )
        .select(['minute', ...TALLIED])
        .select((q) => [q.fn.countAll<number>().as('calls'), q.fn.max('id').as('last_id')])
        .groupBy(['minute', ...TALLIED])
        .execute();
      return rows.map((row) => ({
        routeId: row.route_id,
        environment: row.environment,
        matchedClientId: row.matched_client_id,
        proxyMode: row.proxy_mode as ProxyMode,
        statusCode: row.status_code,
        latencyMs: row.latency_ms,
        error: row.error,
        rateLimited: row.rate_limited === 1,
        tsMs: row.minute,
        calls: row.calls,
        lastId: row.last_id,
      }));
    },

    async leavesBetween(scope, fromId, toId, limit) {
      const rows = await view
        .aside(scope)
        .selectFrom('api_logs')
        .select(leaf)
        .where('id', '>=', fromId)
        .where('id', '<=', toId)
        .orderBy('id')
        .limit(limit)
        .execute();
      return rows.map((row) => leafOf(row.leaf));
    },

    async ofRoute(scope, routeId, limit, offset) {
      const rows = await view
        .aside(scope)
        .selectFrom('api_logs')
        .selectAll()
        .where('route_id', '=', routeId)
        .orderBy('id', 'desc')
        .limit(limit)
        .offset(offset)
        .execute();
      return rows.map(fromRow);
    },

    async countOfRoute(scope, routeId) {
      const { total } = await view
        .aside(scope)
        .selectFrom('api_logs')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .where('route_id', '=', routeId)
        .executeTakeFirstOrThrow();
      return total;
    },

    async firstFrom(scope, id) {
      const row = await view
        .scoped(scope)
        .selectFrom('api_logs')
        .select(['id', 'logged_at'])
        .where('id', '>=', id)
        .orderBy('id')
        .limit(1)
        .executeTakeFirst();
      return row && { id: row.id, loggedAtMs: row.logged_at };
    },

    async lastId(scope) {
      const row = await view
        .scoped(scope)
        .selectFrom('api_logs')
        .select('id')
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row?.id ?? 0;
    },

    async nextTenant(after, sinceMs = null) {
      let query = view
        .system('retention')
        .selectFrom('api_logs')
        .select((q) => q.fn.min('tenant_id').as('tenant_id'))
        .where('tenant_id', '>', after ?? '');
      if (sinceMs !== null) query = query.where('ts', '>=', sinceMs);
      const row = await query.executeTakeFirst();
      return (row?.tenant_id as TenantId | null | undefined) ?? null;
    },

    // By number, for which there is an index: rows are numbered in about the order of their time.
    async deleteOldest(scope, beforeMs, limit) {
      const deleted = await view
        .scoped(scope)
        .deleteFrom('api_logs')
        .where('id', 'in', (eb) => eb.selectFrom('api_logs').select('id').orderBy('id').limit(limit))
        .where('ts', '<', beforeMs)
        .returning('id')
        .execute();
      return deleted.length;
    },
  };
}

function toColumns(entry: ApiLogEntry, loggedAtMs: number): Record<string, string | number | null> {
  return {
    request_id: entry.requestId,
    route_id: entry.routeId,
    matched_client_id: entry.matchedClientId,
    identification_method: entry.identificationMethod,
    method: entry.method,
    status_code: entry.statusCode,
    src_ip: entry.srcIp,
    environment: entry.environment,
    ts: entry.tsMs,
    path: entry.path === null ? null : entry.path.slice(0, LIMITS.logPathCharactersMax),
    latency_ms: entry.latencyMs,
    upstream_host: entry.upstreamHost,
    error: entry.error,
    rate_limited: entry.rateLimited ? 1 : 0,
    proxy_mode: entry.proxyMode,
    client_origin: entry.clientOrigin,
    echo_guarded: entry.echo?.guarded ?? null,
    echo_not_guarded: entry.echo?.notGuarded ?? null,
    signature_valid: entry.signatureValid === null ? null : Number(entry.signatureValid),
    warning: entry.warning,
    logged_at: loggedAtMs,
  };
}

function fromRow(row: Selectable<ApiLogRow>): ApiLog {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    requestId: row.request_id as RequestId,
    routeId: row.route_id,
    matchedClientId: row.matched_client_id,
    identificationMethod: row.identification_method,
    method: row.method,
    statusCode: row.status_code,
    srcIp: row.src_ip,
    environment: row.environment,
    tsMs: row.ts,
    path: row.path,
    latencyMs: row.latency_ms,
    upstreamHost: row.upstream_host,
    error: row.error,
    rateLimited: row.rate_limited === 1,
    proxyMode: row.proxy_mode as ProxyMode,
    clientOrigin: row.client_origin as ClientOrigin,
    echo:
      row.echo_guarded === null || row.echo_not_guarded === null
        ? null
        : { guarded: row.echo_guarded, notGuarded: row.echo_not_guarded },
    signatureValid: row.signature_valid === null ? null : row.signature_valid === 1,
    warning: row.warning as LogWarning | null,
  };
}
