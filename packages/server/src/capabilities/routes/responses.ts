import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { instantText } from '../../platform/http/pagination.js';
import type { ApiLog } from '../api-logs/index.js';
import type { RouteDetail } from './aggregate.js';
import { CONFIG_WIRE_NAMES, type ConfigTerms, type MethodConfig, type RouteConfig } from './config.js';

const rowId = z.string().meta({ format: 'uuid' });
const flag = z.boolean().nullable();
const count = z.number().int().nullable();
const texts = z.array(z.string()).nullable();
const headers = z.record(z.string(), z.string()).nullable();
const json = z.record(z.string(), z.unknown()).nullable();
const always = (what: string) => z.null().describe(`${what}: null in this version.`);

const identity = {
  id: rowId,
  name: z.string(),
  slug: z.string().nullable(),
  target_base_url: z.string().describe('Of the base environment.'),
  base_environment: z.string(),
  enabled: z.boolean(),
  requires_clients: z.boolean().describe('Of the base environment.'),
  collection_id: rowId.nullable(),
  created_at: instantText,
};

const overrideCount = z
  .number()
  .int()
  .describe('Environments that it is configured for, but for the base one.');

export const routeRowResponse = z
  .object({
    ...identity,
    environment_override_count: overrideCount,
    require_signature: z.boolean(),
    rate_limit_enabled: z.boolean(),
    rate_limit_requests: count,
    rate_limit_window_sec: count,
    allowed_methods: texts,
  })
  .meta({ id: 'RouteRow' });

export const routeDetailResponse = z
  .object({
    ...identity,
    mtls_certificate_id: rowId.nullable(),
    environment_override_count: overrideCount,
    configured_environments: z.array(z.string()).describe('In order.'),
    payload_structure: always('A shape of bodies'),
    injection_rules: z.array(z.unknown()).describe('Empty: placeholders have taken their place.'),
    ip_allowlist: z.array(z.string()),
    data_plane_node_id: always('A node'),
  })
  .meta({ id: 'RouteDetail' });

export const routeResponse = z
  .object({
    ...identity,
    tenant_id: rowId,
    sandbox: z.boolean().describe('True in test mode.'),
    mtls_certificate_id: rowId.nullable(),
    egress_server_id: rowId.nullable(),
    favicon_url: always('A picture'),
    favicon_updated_at: always('A picture'),
    favicon_data: always('A picture'),
  })
  .meta({ id: 'Route' });

const limits = {
  rate_limit_enabled: flag,
  rate_limit_requests: count,
  rate_limit_window_sec: count,
  rate_limit_burst: count,
};
const injecting = {
  target_base_url: z.string().nullable(),
  inject_headers_json: headers,
  inject_body_json: json,
};

export const configResponse = z
  .object({
    id: rowId,
    route_id: rowId,
    environment_name: z.string(),
    ...injecting,
    created_at: instantText,
    updated_at: instantText,
    require_signature: flag,
    signature_tolerance_sec: count,
    signature_header: z.string().nullable(),
    timestamp_header: z.string().nullable(),
    ...limits,
    allowed_methods: texts,
    method_configs: z.record(z.string(), z.object({ ...injecting, ...limits })).nullable(),
    use_method_specific_configs: flag,
    http_method_restrictions_enabled: flag,
    egress_server_id: rowId.nullable(),
    enabled: z.boolean().describe('Never inherited.'),
    requires_clients: flag,
    mtls_certificate_id: rowId.nullable(),
    payload_structure: always('A shape of bodies'),
    injection_rules: z.array(z.unknown()).describe('Empty: placeholders have taken their place.'),
    ip_allowlist: texts,
    data_plane_node_id: always('A node'),
    intercept_enabled: flag,
  })
  .describe('As it was written: what is null is as the base environment has it.')
  .meta({ id: 'RouteEnvironment' });

export const configsResponse = z.array(configResponse).describe('In order of their environments.');

export const clientsResponse = z
  .object({ client_ids: z.array(rowId).describe('In order.') })
  .meta({ id: 'RouteClients' });

export const assignedResponse = z.object({ assigned: z.literal(true) });
export const deletedResponse = z.object({ deleted: z.literal(true) }).meta({ id: 'Deleted' });

export const routeLogResponse = z
  .object({
    id: z.string().describe('A whole number of up to 64 bits, as text.'),
    request_id: z.string().meta({ format: 'uuid' }),
    ts: instantText,
    src_ip: z.string().nullable().optional().describe('With `log:read_identity` only.'),
    method: z.string(),
    path: z.string().nullable(),
    status_code: z.number().int(),
    latency_ms: z.number().int(),
    upstream_host: z.string().nullable(),
    error: z.string().nullable(),
    environment: z.string().nullable(),
    rate_limited: z.boolean(),
    signature_valid: z.boolean().nullable().describe('Null: none was judged.'),
    warning: z
      .enum(['secret_expired'])
      .nullable()
      .describe('`secret_expired`: an expired secret was used, whose expiry is not strict.'),
    source_ip_country: always('Where an address is'),
    source_ip_city: always('Where an address is'),
  })
  .meta({ id: 'RouteLog' });

function identityWire({ route, base }: RouteDetail) {
  return {
    id: route.id,
    name: route.name,
    slug: route.slug,
    target_base_url: base.targetBaseUrl ?? '',
    base_environment: route.baseEnvironment,
    enabled: route.enabled,
    requires_clients: base.requiresClients ?? false,
    collection_id: route.collectionId,
    created_at: isoTime(route.createdAtMs),
  };
}

export function routeRowWire(detail: RouteDetail) {
  const { base, configs } = detail;
  return {
    ...identityWire(detail),
    environment_override_count: configs.length - 1,
    require_signature: base.requireSignature ?? false,
    rate_limit_enabled: base.rateLimitEnabled ?? false,
    rate_limit_requests: base.rateLimitRequests,
    rate_limit_window_sec: base.rateLimitWindowSec,
    allowed_methods: listOf(base.allowedMethods),
  };
}

export function routeDetailWire(detail: RouteDetail) {
  const { base, configs } = detail;
  return {
    ...identityWire(detail),
    mtls_certificate_id: base.mtlsCertificateId,
    environment_override_count: configs.length - 1,
    configured_environments: configs.map(({ environment }) => environment),
    payload_structure: null,
    injection_rules: [],
    ip_allowlist: listOf(base.ipAllowlist) ?? [],
    data_plane_node_id: null,
  };
}

export function routeWire(detail: RouteDetail) {
  const { route, base } = detail;
  return {
    ...identityWire(detail),
    tenant_id: route.scope.tenantId,
    sandbox: route.scope.sandbox,
    mtls_certificate_id: base.mtlsCertificateId,
    egress_server_id: base.egressServerId,
    favicon_url: null,
    favicon_updated_at: null,
    favicon_data: null,
  };
}

export function configWire(config: RouteConfig) {
  const own = Object.fromEntries(
    Object.entries(CONFIG_WIRE_NAMES).map(([name, wireName]) => [
      wireName,
      name === 'methodConfigs' ? methodConfigsWire(config.methodConfigs) : config[name as keyof ConfigTerms],
    ]),
  );
  return {
    ...own,
    id: config.id,
    route_id: config.routeId,
    environment_name: config.environment,
    enabled: config.enabled,
    payload_structure: null,
    injection_rules: [],
    data_plane_node_id: null,
    created_at: isoTime(config.createdAtMs),
    updated_at: isoTime(config.updatedAtMs),
  };
}

function methodConfigsWire(configs: ConfigTerms['methodConfigs']) {
  if (configs === null) return null;
  return Object.fromEntries(
    Object.entries(configs).map(([method, config]) => [
      method,
      Object.fromEntries(
        Object.entries(config).map(([name, value]) => [CONFIG_WIRE_NAMES[name as keyof MethodConfig], value]),
      ),
    ]),
  );
}

function listOf<T>(list: readonly T[] | null): T[] | null {
  return list && [...list];
}

/** The address is of the identity tier, and absent without the grant (dataplane.md §10). */
export function routeLogWire(log: ApiLog, withIdentity: boolean) {
  return {
    id: String(log.id),
    request_id: log.requestId,
    ts: isoTime(log.tsMs),
    ...(withIdentity && { src_ip: log.srcIp }),
    method: log.method,
    path: log.path,
    status_code: log.statusCode,
    latency_ms: log.latencyMs,
    upstream_host: log.upstreamHost,
    error: log.error,
    environment: log.environment,
    rate_limited: log.rateLimited,
    signature_valid: log.signatureValid,
    warning: log.warning,
    source_ip_country: null,
    source_ip_city: null,
  };
}
