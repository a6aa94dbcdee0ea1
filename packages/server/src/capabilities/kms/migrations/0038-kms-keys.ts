import type { Migration } from '../../../platform/storage/migration.js';

export const kmsKeysMigration: Migration = {
  id: '0038-kms-keys',
  file: 'main',
  // Each version keeps what it takes to open it, since a later one may be wrapped elsewhere (kms-admin.md §1.2).
  statements: ({ text }) => [`ALTER TABLE tenant_master_keys ADD COLUMN kms_key ${text}`],
};
