import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { routesMigration } from './migrations/0061-routes.js';
import type { ActionDirection, ActionKind } from './types.js';

export interface RouteRow extends TenantModeColumns {
  id: string;
  name: string;
  slug: string | null;
  enabled: number;
  base_environment: string;
  collection_id: string | null;
  /** Counts each change of the route, its environments, their variables and its actions. */
  version: number;
  created_by: string | null;
  created_at: number;
  updated_at: number;
}

/** Lists and objects are JSON text. */
export interface RouteConfigRow extends TenantModeColumns {
  id: string;
  route_id: string;
  environment_name: string;
  enabled: number;
  target_base_url: string | null;
  inject_headers: string | null;
  inject_body: string | null;
  require_signature: number | null;
  signature_tolerance_sec: number | null;
  signature_header: string | null;
  timestamp_header: string | null;
  rate_limit_enabled: number | null;
  rate_limit_requests: number | null;
  rate_limit_window_sec: number | null;
  rate_limit_burst: number | null;
  allowed_methods: string | null;
  http_method_restrictions_enabled: number | null;
  method_configs: string | null;
  use_method_specific_configs: number | null;
  egress_server_id: string | null;
  requires_clients: number | null;
  mtls_certificate_id: string | null;
  ip_allowlist: string | null;
  intercept_enabled: number | null;
  created_at: number;
  updated_at: number;
}

export interface RouteActionRow extends TenantModeColumns {
  id: string;
  route_id: string;
  direction: ActionDirection;
  action: ActionKind;
  /** JSON text, a list. */
  selectors: string;
  key_name: string | null;
  data_role: string | null;
  content_type: string;
  sort_order: number;
  enabled: number;
  created_at: number;
}

export interface RouteTables {
  routes: RouteRow;
  route_environment_configs: RouteConfigRow;
  route_actions: RouteActionRow;
}

export const routeTables: TableSet<RouteTables> = {
  routes: { scope: 'tenant+mode' },
  route_environment_configs: { scope: 'tenant+mode' },
  route_actions: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [routesMigration];
