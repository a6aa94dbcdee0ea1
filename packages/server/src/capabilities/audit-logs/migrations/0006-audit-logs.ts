import type { Migration } from '../../../platform/storage/migration.js';

/** The rows; their sealed sequence is a table of its own, so that a row commits with its change (auth.md §8.2). */
export const auditLogsMigration: Migration = {
  id: '0006-audit-logs',
  file: 'main',
  statements: ({ text, integer }) => [
    `CREATE TABLE audit_logs (
      tenant_id ${text} NOT NULL,
      id ${text} NOT NULL,
      user_id ${text},
      api_key_id ${text},
      oauth_client_id ${text},
      actor_type ${text} NOT NULL,
      action ${text} NOT NULL,
      resource_type ${text} NOT NULL,
      resource_id ${text},
      details ${text} NOT NULL,
      ip_address ${text},
      request_id ${text},
      created_at ${integer} NOT NULL,
      verb ${text} NOT NULL,
      is_sandbox ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, id)
    )`,
    'CREATE INDEX audit_logs_by_time ON audit_logs (tenant_id, created_at, id)',
  ],
};
