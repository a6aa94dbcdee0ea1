import type { Migration } from '../../../platform/storage/migration.js';

export const signupMigration: Migration = {
  id: '0042-signup',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE signups (
      handle_hash ${bytes} NOT NULL PRIMARY KEY,
      link_hash ${bytes} NOT NULL,
      email ${text} NOT NULL,
      email_folded ${text} NOT NULL,
      full_name ${text} NOT NULL,
      tenant_name ${text} NOT NULL,
      tenant_slug ${text} NOT NULL,
      country ${text},
      region ${text},
      status ${text} NOT NULL,
      made_tenant_id ${text},
      ip_address ${text},
      network ${text} NOT NULL,
      created_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL
    )`,
    'CREATE UNIQUE INDEX signups_by_link ON signups (link_hash)',
    'CREATE INDEX signups_by_network ON signups (network, created_at)',
    'CREATE INDEX signups_by_email ON signups (email_folded, created_at)',
    'CREATE INDEX signups_by_end ON signups (expires_at)',
  ],
};
