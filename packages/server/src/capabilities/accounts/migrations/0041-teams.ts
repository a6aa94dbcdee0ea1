import type { Migration } from '../../../platform/storage/migration.js';

export const teamsMigration: Migration = {
  id: '0041-teams',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `ALTER TABLE tenants ADD COLUMN deleted_at ${integer}`,
    'CREATE INDEX tenants_deleted ON tenants (deleted_at) WHERE deleted_at IS NOT NULL',
    `CREATE TABLE kept_slugs (
      slug ${text} NOT NULL PRIMARY KEY,
      holder_id ${text} NOT NULL,
      kept_until ${integer} NOT NULL
    )`,
    'CREATE INDEX kept_slugs_by_end ON kept_slugs (kept_until)',
    `CREATE TABLE invitations (
      tenant_id ${text} NOT NULL REFERENCES tenants (id),
      id ${text} NOT NULL,
      email ${text} NOT NULL,
      email_folded ${text} NOT NULL,
      role ${text} NOT NULL,
      token_hash ${bytes} NOT NULL UNIQUE,
      invited_by ${text} NOT NULL,
      created_at ${integer} NOT NULL,
      sent_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, id),
      UNIQUE (tenant_id, email_folded)
    )`,
    'CREATE INDEX invitations_by_end ON invitations (expires_at)',
    `CREATE TABLE magic_links (
      token_hash ${bytes} NOT NULL PRIMARY KEY,
      user_id ${text} REFERENCES users (id),
      created_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL
    )`,
    'CREATE INDEX magic_links_by_user ON magic_links (user_id)',
    'CREATE INDEX magic_links_by_end ON magic_links (expires_at)',
  ],
};
