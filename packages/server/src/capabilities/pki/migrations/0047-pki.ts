import type { Migration } from '../../../platform/storage/migration.js';

export const pkiMigration: Migration = {
  id: '0047-pki',
  file: 'main',
  statements: ({ text, integer }) => [
    `CREATE TABLE pki_roles (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      root_id ${text} NOT NULL,
      name ${text} NOT NULL,
      allowed_domains ${text} NOT NULL,
      allow_subdomains ${integer} NOT NULL,
      allow_wildcards ${integer} NOT NULL,
      allow_ip_sans ${integer} NOT NULL,
      allow_acme ${integer} NOT NULL,
      acme_require_eab ${integer} NOT NULL,
      max_ttl_seconds ${integer} NOT NULL,
      default_ttl_seconds ${integer} NOT NULL,
      key_algorithm ${text} NOT NULL,
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, root_id, name)
    )`,
    `CREATE TABLE pki_notice_marks (
      subject_kind ${text} NOT NULL,
      days_before ${integer} NOT NULL,
      not_after ${integer} NOT NULL,
      told_id ${text} NOT NULL,
      PRIMARY KEY (subject_kind, days_before)
    )`,
  ],
};
