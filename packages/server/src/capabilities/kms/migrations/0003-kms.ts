import type { Migration } from '../../../platform/storage/migration.js';

export const kmsMigration: Migration = {
  id: '0003-kms',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE tenant_master_keys (
      tenant_id ${text} NOT NULL,
      version ${integer} NOT NULL,
      status ${text} NOT NULL CHECK (status IN ('active', 'retired', 'revoked')),
      wrap_method ${text} NOT NULL,
      wrapped ${bytes},
      created_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, version)
    )`,
    // Exactly one version wraps what is new (kms-admin.md §3.3).
    `CREATE UNIQUE INDEX tenant_master_keys_active ON tenant_master_keys (tenant_id) WHERE status = 'active'`,
    `CREATE TABLE root_key_checks (
      wrap_method ${text} PRIMARY KEY,
      wrapped ${bytes} NOT NULL,
      created_at ${integer} NOT NULL
    )`,
  ],
};
