import type { Migration } from '../../../platform/storage/migration.js';

export const keyVersionsMigration: Migration = {
  id: '0024-key-versions',
  file: 'main',
  statements: ({ text, integer }) => [
    // Null where another capability owns the key; such a key is called by its id.
    `ALTER TABLE crypto_keys ADD COLUMN name ${text}`,
    `ALTER TABLE crypto_keys ADD COLUMN deletion_allowed ${integer} NOT NULL DEFAULT 0`,
    'CREATE UNIQUE INDEX crypto_keys_by_name ON crypto_keys (tenant_id, sandbox, name)',
    // The row of a destroyed version stays, its envelope overwritten (clients-pki.md §4.4).
    `ALTER TABLE crypto_key_versions ADD COLUMN destroyed_at ${integer}`,
  ],
};
