import type { Migration } from '../../../platform/storage/migration.js';

export const cryptoKeysMigration: Migration = {
  id: '0004-crypto-keys',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE crypto_keys (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      key_type ${text} NOT NULL,
      current_version ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    `CREATE TABLE crypto_key_versions (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      key_id ${text} NOT NULL,
      version ${integer} NOT NULL,
      key_envelope ${bytes} NOT NULL,
      created_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, key_id, version),
      FOREIGN KEY (tenant_id, sandbox, key_id) REFERENCES crypto_keys (tenant_id, sandbox, id)
    )`,
  ],
};
