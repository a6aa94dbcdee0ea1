import type { TenantColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { auditLogsMigration } from './migrations/0006-audit-logs.js';

interface AuditLogsTable extends TenantColumns {
  id: string;
  user_id: string | null;
  api_key_id: string | null;
  oauth_client_id: string | null;
  actor_type: string;
  action: string;
  resource_type: string;
  resource_id: string | null;
  /** RFC 8785 canonical JSON, so that what is stored is what will be sealed. */
  details: string;
  ip_address: string | null;
  request_id: string | null;
  created_at: number;
  /** Last part of `action`, for the filter that names a verb alone. */
  verb: string;
  /** 1 where `details.sandbox` is true. A column of its own, not a scope: the log is one for both modes (auth.md §6). */
  is_sandbox: number;
}

export interface AuditTables {
  audit_logs: AuditLogsTable;
}

export const auditTables: TableSet<AuditTables> = { audit_logs: { scope: 'tenant' } };

export const migrations: readonly Migration[] = [auditLogsMigration];
