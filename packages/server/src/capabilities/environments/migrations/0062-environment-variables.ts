import type { Migration } from '../../../platform/storage/migration.js';

export const environmentVariablesMigration: Migration = {
  id: '0062-environment-variables',
  file: 'main',
  // JSON text, an object of texts; null = none.
  statements: ({ text }) => [`ALTER TABLE environments ADD COLUMN variables ${text}`],
};
