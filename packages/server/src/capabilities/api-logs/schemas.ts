import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { PROXY_MODES } from '../../kernel/proxy-mode.js';
import { feedQuery, instantQuery, instantText } from '../../platform/http/pagination.js';
import type { ApiLog } from './api-log.js';
import { encodeCursor } from './cursor.js';
import type { ApiLogFilter } from './filter.js';

/** Of feed and export alike. */
const filterQuery = {
  route_id: z.string().min(1).max(64).optional().describe('Calls of this route.'),
  status_code: z.coerce
    .number()
    .int()
    .min(100)
    .max(999)
    .optional()
    .describe('Calls that were answered with it.'),
  status_class: z
    .enum(['1xx', '2xx', '3xx', '4xx', '5xx'])
    .optional()
    .describe('Calls that were answered with a status of it.'),
  proxy_mode: z.enum(PROXY_MODES).optional().describe('Calls of this kind.'),
  environment: z.string().min(1).max(255).optional().describe('Calls under this environment.'),
  method: z.string().min(1).max(32).toUpperCase().optional().describe('Calls with this method.'),
  client_id: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe('Calls of this client; with `log:read_identity` only.'),
  min_latency_ms: z.coerce
    .number()
    .int()
    .min(0)
    .max(86_400_000)
    .optional()
    .describe('Calls that took at least so long, in milliseconds.'),
  q: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('Stands in path, upstream host, error or request id; ASCII letters without case.'),
  from: instantQuery.optional().describe('Calls that came in at this time or later.'),
  to: instantQuery.optional().describe('Calls that came in before this time.'),
};

export const logListQuery = z.object({ ...feedQuery, ...filterQuery });

export const logExportQuery = z.object({
  format: z.enum(['csv']).default('csv').describe('The only one there is.'),
  ...filterQuery,
});

type FilterQuery = Omit<z.output<typeof logExportQuery>, 'format'>;

export function toFilter(query: FilterQuery): ApiLogFilter {
  return {
    routeId: query.route_id,
    statusCode: query.status_code,
    statusClass: query.status_class === undefined ? undefined : Number(query.status_class[0]),
    proxyMode: query.proxy_mode,
    environment: query.environment,
    method: query.method,
    clientId: query.client_id,
    latencyMsMin: query.min_latency_ms,
    text: query.q,
    fromMs: query.from,
    toMs: query.to,
  };
}

export const logParams = z.object({
  request_id: z.string().min(1).max(64).describe('`X-Request-Id` of the call.'),
});

/** Key order is the contract's (dataplane §10). */
const OF_NO_ROUTE =
  'Null: an ephemeral call, or one that was refused before route and environment were found.';

export const logResponse = z
  .object({
    id: z
      .string()
      .describe('A whole number of up to 64 bits, as text; ascending.')
      .meta({ examples: ['1042'] }),
    request_id: z.string().describe('`X-Request-Id` of the call.').meta({ format: 'uuid' }),
    tenant_id: z.string(),
    route_id: z.string().nullable().describe(OF_NO_ROUTE),
    matched_client_id: z.string().nullable().optional().describe('With `log:read_identity` only.'),
    identification_method: z.string().nullable().optional().describe('With `log:read_identity` only.'),
    method: z.string(),
    status_code: z.number().int().describe('What the caller saw; 499: the caller left before an answer.'),
    src_ip: z.string().nullable().optional().describe('With `log:read_identity` only.'),
    environment: z.string().nullable().describe(OF_NO_ROUTE),
    sandbox: z.boolean().nullable().describe('True in test mode.'),
    ts: instantText.describe('When the call came in.'),
    path: z.string().nullable().describe('Of the upstream, redacted, without its query.'),
    latency_ms: z.number().int().describe('To the end of the answer, in milliseconds.'),
    upstream_host: z.string().nullable().describe('Name of the upstream; null: the call did not get so far.'),
    error: z.string().nullable().describe('Type of the refusal; null: the upstream answered.'),
    rate_limited: z.boolean().describe('Refused by a limit.'),
    proxy_mode: z.enum(PROXY_MODES),
    client_origin: z
      .enum(['direct', 'sdk_intercept'])
      .describe('`sdk_intercept`: sent by an SDK that stands in for the HTTP client.'),
    cursor: z.string().describe('A feed that is asked with it goes on after this row.'),
    echo: z
      .object({
        guarded: z.number().int().describe('Places of the answer where a token took the place of its value.'),
        not_guarded: z
          .number()
          .int()
          .describe('Values not looked for: too short, or of a vault without the guard.'),
      })
      .nullable()
      .describe('Null: nothing was detokenized for the call.'),
    warning: z
      .enum(['secret_expired'])
      .nullable()
      .describe('`secret_expired`: an expired secret was used, whose expiry is not strict.'),
  })
  .meta({ id: 'Log' });

/** Without the grant the identity tier is absent, not null. */
export function toLogResponse(log: ApiLog, withIdentity: boolean): z.input<typeof logResponse> {
  return {
    id: String(log.id),
    request_id: log.requestId,
    tenant_id: log.scope.tenantId,
    route_id: log.routeId,
    ...(withIdentity
      ? { matched_client_id: log.matchedClientId, identification_method: log.identificationMethod }
      : {}),
    method: log.method,
    status_code: log.statusCode,
    ...(withIdentity ? { src_ip: log.srcIp } : {}),
    environment: log.environment,
    sandbox: log.scope.sandbox,
    ts: isoTime(log.tsMs),
    path: log.path,
    latency_ms: log.latencyMs,
    upstream_host: log.upstreamHost,
    error: log.error,
    rate_limited: log.rateLimited,
    proxy_mode: log.proxyMode,
    client_origin: log.clientOrigin,
    cursor: encodeCursor(log.id),
    echo: log.echo && { guarded: log.echo.guarded, not_guarded: log.echo.notGuarded },
    warning: log.warning,
  };
}

export const csvText = z
  .string()
  .describe(
    'RFC 4180, with a line of names; the members of a row without `cursor`, those of the identity tier with `log:read_identity` ' +
      'only. A text that a spreadsheet would take for a formula has an apostrophe before it.',
  );
