import type { Migration } from '../../../platform/storage/migration.js';

export const rolesMigration: Migration = {
  id: '0014-roles',
  file: 'main',
  statements: ({ text, integer }) => [
    `CREATE TABLE roles (
      tenant_id ${text} NOT NULL,
      id ${text} NOT NULL,
      name ${text} NOT NULL,
      description ${text},
      applies_to ${text} NOT NULL,
      rules ${text} NOT NULL,
      created_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, id)
    )`,
  ],
};
