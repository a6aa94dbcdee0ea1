import type { Migration } from '../../../platform/storage/migration.js';

export const acmeOrderWindowsMigration: Migration = {
  id: '0052-acme-order-windows',
  file: 'main',
  statements: ({ text, integer }) => [
    `CREATE TABLE acme_order_windows (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      role_id ${text} NOT NULL,
      ends_at ${integer} NOT NULL,
      orders ${integer} NOT NULL,
      names ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, role_id)
    )`,
  ],
};
