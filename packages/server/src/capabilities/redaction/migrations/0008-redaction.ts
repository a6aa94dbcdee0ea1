import type { Migration } from '../../../platform/storage/migration.js';

export const redactionMigration: Migration = {
  id: '0008-redaction',
  file: 'main',
  statements: ({ text, integer }) => [
    `CREATE TABLE redaction_rules (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      name ${text} NOT NULL,
      enabled ${integer} NOT NULL,
      target ${text} NOT NULL,
      match_type ${text} NOT NULL,
      match_value ${text} NOT NULL,
      content_types ${text},
      proxy_modes ${text},
      replacement ${text} NOT NULL,
      action ${text} NOT NULL,
      priority ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
  ],
};
