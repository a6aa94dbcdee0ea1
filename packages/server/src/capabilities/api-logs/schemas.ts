import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { feedQuery, instantQuery } from '../../platform/http/pagination.js';
import type { ApiLog } from './api-log.js';
import { encodeCursor } from './cursor.js';

export const logListQuery = z.object({
  ...feedQuery,
  route_id: z.string().min(1).max(64).optional(),
  status_code: z.coerce.number().int().min(100).max(999).optional(),
  proxy_mode: z.enum(['route', 'ephemeral']).optional(),
  environment: z.string().min(1).max(255).optional(),
  method: z.string().min(1).max(32).toUpperCase().optional(),
  from: instantQuery.optional(),
  to: instantQuery.optional(),
});

export const logParams = z.object({ request_id: z.string().min(1).max(64) });

/** Key order is the contract's (dataplane §10). */
export const logResponse = z.object({
  id: z.string(),
  request_id: z.string(),
  tenant_id: z.string(),
  route_id: z.string().nullable(),
  matched_client_id: z.string().nullable().optional(),
  identification_method: z.string().nullable().optional(),
  method: z.string(),
  status_code: z.number(),
  src_ip: z.string().nullable().optional(),
  environment: z.string().nullable(),
  sandbox: z.boolean().nullable(),
  ts: z.string(),
  path: z.string().nullable(),
  latency_ms: z.number(),
  upstream_host: z.string().nullable(),
  error: z.string().nullable(),
  rate_limited: z.boolean(),
  proxy_mode: z.enum(['route', 'ephemeral']),
  client_origin: z.enum(['direct', 'sdk_intercept']),
  cursor: z.string(),
  echo: z.null(),
});

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
    echo: null,
  };
}
