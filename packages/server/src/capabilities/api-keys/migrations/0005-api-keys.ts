import type { Migration } from '../../../platform/storage/migration.js';

export const apiKeysMigration: Migration = {
  id: '0005-api-keys',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE api_keys (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      key_id ${text} NOT NULL,
      key_hash ${bytes} NOT NULL,
      key_prefix ${text} NOT NULL,
      key_type ${text} NOT NULL,
      name ${text} NOT NULL,
      created_at ${integer} NOT NULL,
      last_used_at ${integer},
      revoked_at ${integer},
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, key_id)
    )`,
    // A credential names its tenant, so this one lookup crosses tenants.
    'CREATE INDEX api_keys_by_hash ON api_keys (key_hash)',
    'CREATE INDEX api_keys_by_time ON api_keys (tenant_id, sandbox, created_at, id)',
  ],
};
