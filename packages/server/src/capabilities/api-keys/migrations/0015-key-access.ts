import type { Migration } from '../../../platform/storage/migration.js';

export const keyAccessMigration: Migration = {
  id: '0015-key-access',
  file: 'main',
  statements: ({ text, integer }) => [
    `ALTER TABLE api_keys ADD COLUMN access ${text}`,
    // Every key made before this could do everything. No default: a row without access has none.
    `UPDATE api_keys SET access = '{"full":true}'`,
    `ALTER TABLE api_keys ADD COLUMN rate_limit_requests ${integer}`,
    `ALTER TABLE api_keys ADD COLUMN rate_limit_window_sec ${integer}`,
    `ALTER TABLE api_keys ADD COLUMN expires_at ${integer}`,
  ],
};
