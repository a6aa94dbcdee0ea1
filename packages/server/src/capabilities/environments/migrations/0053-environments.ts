import type { Migration } from '../../../platform/storage/migration.js';

/** What a tenant that exists already starts with, as `FIRST_ENVIRONMENT` of `first.ts` says for new ones. */
const COLUMNS =
  'tenant_id, sandbox, id, name, display_name, description, color, is_default, created_at, updated_at';
const FIRST = `'production', 'Production', NULL, '#6366f1', 1, created_at, created_at`;

/** A UUID v4 other than the tenant's own, a different one for each mode: halves of its random end in another order. */
const LIVE_ID = 'substr(id, 1, 24) || substr(id, 31, 6) || substr(id, 25, 6)';
const TEST_ID = 'substr(id, 1, 24) || substr(id, 28, 9) || substr(id, 25, 3)';

export const environmentsMigration: Migration = {
  id: '0053-environments',
  file: 'main',
  statements: ({ text, integer }) => [
    `CREATE TABLE environments (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      name ${text} NOT NULL,
      display_name ${text},
      description ${text},
      color ${text} NOT NULL,
      is_default ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, name)
    )`,
    `INSERT INTO environments (${COLUMNS}) SELECT id, 0, ${LIVE_ID}, ${FIRST} FROM tenants`,
    `INSERT INTO environments (${COLUMNS}) SELECT id, 1, ${TEST_ID}, ${FIRST} FROM tenants`,
  ],
};
