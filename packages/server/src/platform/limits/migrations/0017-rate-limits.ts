import type { Migration } from '../../storage/migration.js';

export const rateLimitsMigration: Migration = {
  id: '0017-rate-limits',
  file: 'main',
  statements: ({ text, integer }) => [
    `CREATE TABLE rate_limits (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      name ${text} NOT NULL,
      state ${text} NOT NULL,
      version ${integer} NOT NULL,
      expires_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, name)
    )`,
    'CREATE INDEX rate_limits_expires_at ON rate_limits (expires_at)',
  ],
};
