import type { Generated } from 'kysely';
import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { apiLogsMigration } from './migrations/0009-api-logs.js';
import { echoCountsMigration } from './migrations/0026-echo-counts.js';
import { logAnchorsMigration } from './migrations/0058-log-anchors.js';
import { signatureValidMigration } from './migrations/0064-signature-valid.js';
import { logWarningsMigration } from './migrations/0070-log-warnings.js';

export interface ApiLogRow {
  id: Generated<number>;
  request_id: string;
  tenant_id: string;
  route_id: string | null;
  matched_client_id: string | null;
  identification_method: string | null;
  method: string;
  status_code: number;
  src_ip: string | null;
  environment: string | null;
  sandbox: number | null;
  ts: number;
  path: string | null;
  latency_ms: number;
  upstream_host: string | null;
  error: string | null;
  rate_limited: number;
  proxy_mode: string;
  client_origin: string;
  /** Both null where nothing was detokenized. */
  echo_guarded: number | null;
  echo_not_guarded: number | null;
  signature_valid: number | null;
  warning: string | null;
  /** When the row was handed to the database; the feed's watermark compares it. */
  logged_at: number;
}

export interface LogAnchorRow extends TenantModeColumns {
  id: string;
  sequence_number: number;
  anchored_at: number;
  algo: string;
  merkle_root: Buffer;
  leaf_count: number;
  from_id: number;
  to_id: number;
  chain_row_hash: Buffer;
}

export interface ApiLogTables {
  api_logs: ApiLogRow;
  log_anchors: LogAnchorRow;
}

export const apiLogTables: TableSet<ApiLogTables> = {
  api_logs: { scope: 'tenant+mode', file: 'log' },
  log_anchors: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [
  apiLogsMigration,
  echoCountsMigration,
  logAnchorsMigration,
  signatureValidMigration,
  logWarningsMigration,
];
