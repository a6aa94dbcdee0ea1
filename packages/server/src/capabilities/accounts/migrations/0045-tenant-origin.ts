import type { Migration } from '../../../platform/storage/migration.js';

/** What a signup says of a tenant and its owner (auth.md §7). */
export const tenantOriginMigration: Migration = {
  id: '0045-tenant-origin',
  file: 'main',
  statements: ({ text }) => [
    `ALTER TABLE tenants ADD COLUMN region ${text}`,
    `ALTER TABLE tenants ADD COLUMN country ${text}`,
    `ALTER TABLE users ADD COLUMN full_name ${text}`,
  ],
};
