import type { Generated } from 'kysely';
import type { TenantColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { auditLogsMigration } from './migrations/0006-audit-logs.js';
import { auditChainMigration } from './migrations/0012-audit-chain.js';
import { auditLogCriticalMigration } from './migrations/0013-audit-log-critical.js';

interface AuditLogsTable extends TenantColumns {
  id: string;
  user_id: string | null;
  api_key_id: string | null;
  oauth_client_id: string | null;
  actor_type: string;
  action: string;
  resource_type: string;
  resource_id: string | null;
  /** RFC 8785 canonical JSON, so that what is stored is what is sealed. */
  details: string;
  ip_address: string | null;
  request_id: string | null;
  created_at: number;
  /** Last part of `action`, for the filter that names a verb alone. */
  verb: string;
  /** 1 where `details.sandbox` is true. A column of its own, not a scope: the log is one for both modes (auth.md §6). */
  is_sandbox: number;
}

interface AuditChainTable extends TenantColumns {
  sequence_number: number;
  audit_id: string;
  prev_hash: Buffer;
  row_hash: Buffer;
}

interface Head {
  /** Of the last row. */
  sequence_number: number;
  row_hash: Buffer;
  /** Of the last row that a checkpoint covers. */
  checkpoint_sequence: number;
  checkpoint_at: number;
}

interface AuditUnsealedTable extends TenantColumns {
  position: Generated<number>;
  audit_id: string;
}

interface AuditCheckpointsTable extends TenantColumns {
  /** `checkpoint`, or `trim`: the last row that retention has removed. */
  kind: 'checkpoint' | 'trim';
  sequence_number: number;
  row_hash: Buffer;
  at: number;
  key_id: string;
  signature: Buffer;
}

interface AuditCheckpointKeysTable {
  key_id: string;
  public_key: Buffer;
  /** The key of the next root key, which vouches for this one; null = never replaced. */
  endorsed_by: string | null;
  endorsement: Buffer | null;
  created_at: number;
}

interface AuditLogCriticalTable {
  sequence_number: number;
  prev_hash: Buffer;
  row_hash: Buffer;
  at: number;
  tenant_id: string | null;
  actor_id: string | null;
  action: string;
  resource_type: string;
  resource_id: string | null;
  details: string;
}

export interface AuditTables {
  audit_logs: AuditLogsTable;
  audit_chain: AuditChainTable;
  audit_chain_heads: Head & TenantColumns;
  audit_unsealed: AuditUnsealedTable;
  audit_checkpoints: AuditCheckpointsTable;
  audit_checkpoint_keys: AuditCheckpointKeysTable;
  audit_log_critical: AuditLogCriticalTable;
  audit_critical_head: Head & { id: string };
}

export const auditTables: TableSet<AuditTables> = {
  audit_logs: { scope: 'tenant' },
  audit_chain: { scope: 'tenant' },
  audit_chain_heads: { scope: 'tenant' },
  audit_unsealed: { scope: 'tenant' },
  audit_checkpoints: { scope: 'tenant' },
  audit_checkpoint_keys: { scope: 'system' },
  audit_log_critical: { scope: 'system' },
  audit_critical_head: { scope: 'system' },
};

export const migrations: readonly Migration[] = [
  auditLogsMigration,
  auditChainMigration,
  auditLogCriticalMigration,
];
