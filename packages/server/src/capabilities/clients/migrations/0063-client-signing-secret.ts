import type { Migration } from '../../../platform/storage/migration.js';

export const clientSigningSecretMigration: Migration = {
  id: '0063-client-signing-secret',
  file: 'main',
  statements: ({ text }) => [
    `ALTER TABLE clients ADD COLUMN signing_secret_id ${text}`,
    'CREATE INDEX clients_by_signing_secret ON clients (tenant_id, sandbox, signing_secret_id)',
  ],
};
