import { isoTime } from '../../../kernel/clock.js';
import type { ApiLog } from '../api-log.js';

type Cell = string | number | boolean | null;

/** Members of a row in the contract's order (dataplane §10), without the cursor; `echo` in two. */
const COLUMNS: readonly (readonly [name: string, cell: (log: ApiLog) => Cell])[] = [
  ['id', (log) => log.id],
  ['request_id', (log) => log.requestId],
  ['tenant_id', (log) => log.scope.tenantId],
  ['route_id', (log) => log.routeId],
  ['matched_client_id', (log) => log.matchedClientId],
  ['identification_method', (log) => log.identificationMethod],
  ['method', (log) => log.method],
  ['status_code', (log) => log.statusCode],
  ['src_ip', (log) => log.srcIp],
  ['environment', (log) => log.environment],
  ['sandbox', (log) => log.scope.sandbox],
  ['ts', (log) => isoTime(log.tsMs)],
  ['path', (log) => log.path],
  ['latency_ms', (log) => log.latencyMs],
  ['upstream_host', (log) => log.upstreamHost],
  ['error', (log) => log.error],
  ['rate_limited', (log) => log.rateLimited],
  ['proxy_mode', (log) => log.proxyMode],
  ['client_origin', (log) => log.clientOrigin],
  ['echo_guarded', (log) => log.echo?.guarded ?? null],
  ['echo_not_guarded', (log) => log.echo?.notGuarded ?? null],
  ['warning', (log) => log.warning],
];

const IDENTITY_TIER: ReadonlySet<string> = new Set(['matched_client_id', 'identification_method', 'src_ip']);

export interface CsvForm {
  readonly header: string;
  line(log: ApiLog): string;
}

/** RFC 4180. Without the grant the columns of the identity tier are absent, as the members are. */
export function csvForm(withIdentity: boolean): CsvForm {
  const columns = COLUMNS.filter(([name]) => withIdentity || !IDENTITY_TIER.has(name));
  return {
    header: `${columns.map(([name]) => name).join(',')}\r\n`,
    line: (log) => `${columns.map(([, cell]) => cellText(cell(log))).join(',')}\r\n`,
  };
}

/**
 * A spreadsheet takes what begins so for a formula, a leading blank or not, and paths are a stranger's: an apostrophe before it
 * makes it a text (OWASP, CSV injection). Full-width signs are taken for the plain ones in some languages.
 */
const FORMULA = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/;

function cellText(value: Cell): string {
  if (value === null) return '';
  if (typeof value !== 'string') return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
