import type { Migration } from '../../../platform/storage/migration.js';

export const tenantKmsMigration: Migration = {
  id: '0039-tenant-kms',
  file: 'main',
  statements: ({ text, integer }) => [
    `ALTER TABLE tenant_master_keys ADD COLUMN retired_at ${integer}`,
    `CREATE TABLE tenant_kms (
      tenant_id ${text} NOT NULL PRIMARY KEY,
      kms_key ${text} NOT NULL,
      key_name ${text} NOT NULL,
      identity_name ${text},
      sealed_since ${integer},
      last_verified_at ${integer},
      last_verify_error ${text},
      checked_at ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL
    )`,
    // Nobody names what another tenant has configured (kms-admin.md §1.1).
    'CREATE INDEX tenant_kms_key_name ON tenant_kms (key_name)',
    'CREATE INDEX tenant_kms_identity_name ON tenant_kms (identity_name) WHERE identity_name IS NOT NULL',
    'CREATE INDEX tenant_kms_sealed ON tenant_kms (checked_at) WHERE sealed_since IS NOT NULL',
    'CREATE INDEX tenant_kms_checked ON tenant_kms (checked_at)',
  ],
};
