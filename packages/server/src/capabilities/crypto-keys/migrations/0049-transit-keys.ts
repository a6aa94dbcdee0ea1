import type { Migration } from '../../../platform/storage/migration.js';

export const transitKeysMigration: Migration = {
  id: '0049-transit-keys',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `ALTER TABLE crypto_keys ADD COLUMN mode ${text} NOT NULL DEFAULT 'cloud-only'`,
    `ALTER TABLE crypto_keys ADD COLUMN description ${text}`,
    `ALTER TABLE crypto_keys ADD COLUMN created_by ${text}`,
    `ALTER TABLE crypto_key_versions ADD COLUMN public_key ${bytes}`,
    // Apart from the versions: what is counted there must not copy an envelope that is to be wiped.
    `CREATE TABLE crypto_key_uses (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      key_id ${text} NOT NULL,
      version ${integer} NOT NULL,
      encryptions ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, key_id, version)
    )`,
  ],
};
