import type { Migration } from '../../../platform/storage/migration.js';

export const egressAllowlistMigration: Migration = {
  id: '0025-egress-allowlist',
  file: 'main',
  statements: ({ text, integer }) => [
    `CREATE TABLE egress_allowlists (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      hosts ${text} NOT NULL,
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox)
    )`,
  ],
};
