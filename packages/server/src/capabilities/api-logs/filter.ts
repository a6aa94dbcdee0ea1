import { type SelectQueryBuilder, sql } from 'kysely';
import type { ProxyMode } from '../../kernel/proxy-mode.js';
import type { ApiLogTables } from './tables.js';

export interface ApiLogFilter {
  readonly routeId?: string | undefined;
  readonly statusCode?: number | undefined;
  /** The hundreds of the status: 4 = 400 to 499. */
  readonly statusClass?: number | undefined;
  readonly proxyMode?: ProxyMode | undefined;
  readonly environment?: string | undefined;
  readonly method?: string | undefined;
  readonly clientId?: string | undefined;
  readonly latencyMsMin?: number | undefined;
  /** Stands in the path, the upstream's name, the error or the request id; ASCII letters without case. */
  readonly text?: string | undefined;
  /** Inclusive. */
  readonly fromMs?: number | undefined;
  /** Exclusive. */
  readonly toMs?: number | undefined;
}

export function isFiltered(filter: ApiLogFilter): boolean {
  return Object.values(filter).some((wanted) => wanted !== undefined);
}

type LogQuery<O> = SelectQueryBuilder<ApiLogTables, 'api_logs', O>;

const SEARCHED = ['path', 'upstream_host', 'error', 'request_id'] as const;

export function filtered<O>(query: LogQuery<O>, filter: ApiLogFilter): LogQuery<O> {
  let narrowed = query;
  if (filter.routeId !== undefined) narrowed = narrowed.where('route_id', '=', filter.routeId);
  if (filter.statusCode !== undefined) narrowed = narrowed.where('status_code', '=', filter.statusCode);
  if (filter.statusClass !== undefined) {
    const first = filter.statusClass * 100;
    narrowed = narrowed.where('status_code', '>=', first).where('status_code', '<', first + 100);
  }
  if (filter.proxyMode !== undefined) narrowed = narrowed.where('proxy_mode', '=', filter.proxyMode);
  if (filter.environment !== undefined) narrowed = narrowed.where('environment', '=', filter.environment);
  if (filter.method !== undefined) narrowed = narrowed.where('method', '=', filter.method);
  if (filter.clientId !== undefined) narrowed = narrowed.where('matched_client_id', '=', filter.clientId);
  if (filter.latencyMsMin !== undefined) narrowed = narrowed.where('latency_ms', '>=', filter.latencyMsMin);
  if (filter.text !== undefined) narrowed = searched(narrowed, filter.text);
  if (filter.fromMs !== undefined) narrowed = narrowed.where('ts', '>=', filter.fromMs);
  if (filter.toMs !== undefined) narrowed = narrowed.where('ts', '<', filter.toMs);
  return narrowed;
}

/** Under the collation of our columns both databases fold ASCII letters alone. Rows of one window are looked at, without an index. */
function searched<O>(query: LogQuery<O>, text: string): LogQuery<O> {
  const folded = text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  const pattern = `%${folded.replace(/[!%_]/g, '!$&')}%`;
  return query.where((eb) =>
    eb.or(SEARCHED.map((column) => sql<boolean>`lower(${eb.ref(column)}) like ${pattern} escape '!'`)),
  );
}
