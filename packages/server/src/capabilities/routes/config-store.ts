import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { RouteConfig } from './config.js';
import { type RouteConfigRow, routeTables } from './tables.js';

export type RouteConfigStore = ReturnType<typeof createRouteConfigStore>;

export function createRouteConfigStore(db: Database) {
  const view = db.view(routeTables);
  const ofRoute = view.define<{ routeId: string }, Selectable<RouteConfigRow>>(
    'route_configs_of_route',
    (queries, arg) =>
      queries
        .selectFrom('route_environment_configs')
        .selectAll()
        .where('route_id', '=', arg('routeId'))
        .orderBy('environment_name'),
  );

  return {
    /** All at once, in order of their environments. */
    async ofRoute(scope: Scope, routeId: string): Promise<RouteConfig[]> {
      return (await ofRoute.all(scope, { routeId })).map(configOf);
    },

    async ofRouteIn(tx: Transaction, scope: Scope, routeId: string): Promise<RouteConfig[]> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('route_environment_configs')
        .selectAll()
        .where('route_id', '=', routeId)
        .orderBy('environment_name')
        .execute();
      return rows.map(configOf);
    },

    /** Of those routes, by route. */
    async ofRoutes(scope: Scope, routeIds: readonly string[]): Promise<Map<string, RouteConfig[]>> {
      if (routeIds.length === 0) return new Map();
      const rows = await view
        .scoped(scope)
        .selectFrom('route_environment_configs')
        .selectAll()
        .where('route_id', 'in', routeIds)
        .orderBy('environment_name')
        .execute();
      const byRoute = new Map<string, RouteConfig[]>(routeIds.map((id) => [id, []]));
      for (const row of rows) byRoute.get(row.route_id)!.push(configOf(row));
      return byRoute;
    },

    async insert(tx: Transaction, config: RouteConfig): Promise<void> {
      await view
        .scoped(config.scope, tx)
        .insertInto('route_environment_configs')
        .values({
          id: config.id,
          route_id: config.routeId,
          environment_name: config.environment,
          created_at: config.createdAtMs,
          ...columnsOf(config),
        })
        .execute();
    },

    async update(tx: Transaction, config: RouteConfig): Promise<void> {
      await view
        .scoped(config.scope, tx)
        .updateTable('route_environment_configs')
        .set(columnsOf(config))
        .where('id', '=', config.id)
        .execute();
    },

    async delete(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('route_environment_configs').where('id', '=', id).execute();
    },

    async deleteOfRoute(tx: Transaction, scope: Scope, routeId: string): Promise<void> {
      await view
        .scoped(scope, tx)
        .deleteFrom('route_environment_configs')
        .where('route_id', '=', routeId)
        .execute();
    },

    async renameEnvironment(tx: Transaction, scope: Scope, from: string, to: string): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('route_environment_configs')
        .set({ environment_name: to })
        .where('environment_name', '=', from)
        .execute();
    },

    async removeEnvironment(tx: Transaction, scope: Scope, environment: string): Promise<number> {
      const rows = await view
        .scoped(scope, tx)
        .deleteFrom('route_environment_configs')
        .where('environment_name', '=', environment)
        .returning('id')
        .execute();
      return rows.length;
    },

    /** Routes of which an environment shows that certificate, or goes by that server. */
    async countUsing(
      tx: Transaction,
      scope: Scope,
      column: 'mtls_certificate_id' | 'egress_server_id',
      id: string,
    ): Promise<number> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('route_environment_configs')
        .select('route_id')
        .where(column, '=', id)
        .groupBy('route_id')
        .execute();
      return rows.length;
    },
  };
}

function columnsOf(config: RouteConfig) {
  return {
    enabled: Number(config.enabled),
    target_base_url: config.targetBaseUrl,
    inject_headers: textOf(config.injectHeaders),
    inject_body: textOf(config.injectBody),
    require_signature: flagOf(config.requireSignature),
    signature_tolerance_sec: config.signatureToleranceSec,
    signature_header: config.signatureHeader,
    timestamp_header: config.timestampHeader,
    rate_limit_enabled: flagOf(config.rateLimitEnabled),
    rate_limit_requests: config.rateLimitRequests,
    rate_limit_window_sec: config.rateLimitWindowSec,
    rate_limit_burst: config.rateLimitBurst,
    allowed_methods: textOf(config.allowedMethods),
    http_method_restrictions_enabled: flagOf(config.restrictsMethods),
    method_configs: textOf(config.methodConfigs),
    use_method_specific_configs: flagOf(config.usesMethodConfigs),
    egress_server_id: config.egressServerId,
    requires_clients: flagOf(config.requiresClients),
    mtls_certificate_id: config.mtlsCertificateId,
    ip_allowlist: textOf(config.ipAllowlist),
    intercept_enabled: flagOf(config.interceptEnabled),
    updated_at: config.updatedAtMs,
  };
}

function configOf(row: Selectable<RouteConfigRow>): RouteConfig {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    routeId: row.route_id,
    environment: row.environment_name,
    enabled: row.enabled === 1,
    targetBaseUrl: row.target_base_url,
    injectHeaders: jsonOf(row.inject_headers),
    injectBody: jsonOf(row.inject_body),
    requireSignature: switchOf(row.require_signature),
    signatureToleranceSec: row.signature_tolerance_sec,
    signatureHeader: row.signature_header,
    timestampHeader: row.timestamp_header,
    rateLimitEnabled: switchOf(row.rate_limit_enabled),
    rateLimitRequests: row.rate_limit_requests,
    rateLimitWindowSec: row.rate_limit_window_sec,
    rateLimitBurst: row.rate_limit_burst,
    allowedMethods: jsonOf(row.allowed_methods),
    restrictsMethods: switchOf(row.http_method_restrictions_enabled),
    methodConfigs: jsonOf(row.method_configs),
    usesMethodConfigs: switchOf(row.use_method_specific_configs),
    egressServerId: row.egress_server_id,
    requiresClients: switchOf(row.requires_clients),
    mtlsCertificateId: row.mtls_certificate_id,
    ipAllowlist: jsonOf(row.ip_allowlist),
    interceptEnabled: switchOf(row.intercept_enabled),
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}

function flagOf(value: boolean | null): number | null {
  return value === null ? null : Number(value);
}

function switchOf(value: number | null): boolean | null {
  return value === null ? null : value === 1;
}

function textOf(value: object | null): string | null {
  return value === null ? null : JSON.stringify(value);
}

function jsonOf<T>(text: string | null): T | null {
  return text === null ? null : (JSON.parse(text) as T);
}
