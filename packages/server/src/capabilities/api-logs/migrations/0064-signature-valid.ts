import type { Migration } from '../../../platform/storage/migration.js';

export const signatureValidMigration: Migration = {
  id: '0064-signature-valid',
  file: 'log',
  statements: ({ integer }) => [`ALTER TABLE api_logs ADD COLUMN signature_valid ${integer}`],
};
