import type { Migration } from '../../../platform/storage/migration.js';

export const accountsMigration: Migration = {
  id: '0001-accounts',
  file: 'main',
  statements: ({ text, integer }) => [
    `CREATE TABLE tenants (
      id ${text} NOT NULL PRIMARY KEY,
      slug ${text} NOT NULL UNIQUE,
      name ${text} NOT NULL,
      plan ${text} NOT NULL,
      subscription_status ${text} NOT NULL,
      ephemeral_enabled ${integer},
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL
    )`,
    `CREATE TABLE users (
      id ${text} NOT NULL PRIMARY KEY,
      email ${text} NOT NULL,
      email_folded ${text} NOT NULL UNIQUE,
      password_hash ${text} NOT NULL,
      created_at ${integer} NOT NULL
    )`,
    `CREATE TABLE memberships (
      tenant_id ${text} NOT NULL REFERENCES tenants (id),
      user_id ${text} NOT NULL REFERENCES users (id),
      role ${text} NOT NULL,
      created_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, user_id)
    )`,
  ],
};
