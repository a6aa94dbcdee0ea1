import type { Migration } from '../../../platform/storage/migration.js';

export const logWarningsMigration: Migration = {
  id: '0070-log-warnings',
  file: 'log',
  statements: ({ text }) => [`ALTER TABLE api_logs ADD COLUMN warning ${text}`],
};
