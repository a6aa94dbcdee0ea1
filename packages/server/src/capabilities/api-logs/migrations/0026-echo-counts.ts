import type { Migration } from '../../../platform/storage/migration.js';

export const echoCountsMigration: Migration = {
  id: '0026-echo-counts',
  file: 'log',
  statements: ({ integer }) => [
    `ALTER TABLE api_logs ADD COLUMN echo_guarded ${integer}`,
    `ALTER TABLE api_logs ADD COLUMN echo_not_guarded ${integer}`,
  ],
};
