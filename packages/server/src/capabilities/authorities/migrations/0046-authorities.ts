import type { Migration } from '../../../platform/storage/migration.js';

const SECOND_MS = 1_000;
const BACKDATED_MS = 60_000;
const DAY_MS = 86_400_000;
/** What client-ca has made its chains with (clients-pki.md §2.4). */
const ISSUING_LIFE_MS = 1_095 * DAY_MS;
const ISSUING_LEFT_MS_MIN = 400 * DAY_MS;

const FORMER_JOBS = "'client_ca_upkeep', 'client_ca_retention'";

/** Those behind client credentials become some among the authorities of every root. */
export const authoritiesMigration: Migration = {
  id: '0046-authorities',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE authorities (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      kind ${text} NOT NULL,
      root_id ${text} NOT NULL,
      name ${text} NOT NULL,
      key_id ${text} NOT NULL,
      key_algorithm ${text} NOT NULL,
      serial ${text} NOT NULL,
      subject ${text} NOT NULL,
      public_key ${bytes} NOT NULL,
      key_envelope ${bytes} NOT NULL,
      certificate ${bytes} NOT NULL,
      status ${text} NOT NULL,
      not_before ${integer} NOT NULL,
      not_after ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      issuing_life ${integer},
      issuing_left_min ${integer},
      renew_at ${integer},
      former_root_id ${text},
      revocations ${integer} NOT NULL,
      list ${bytes} NOT NULL,
      list_number ${integer} NOT NULL,
      list_revocations ${integer} NOT NULL,
      list_this_update ${integer} NOT NULL,
      list_next_update ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, root_id, key_id)
    )`,
    `INSERT INTO authorities
      SELECT a.tenant_id, a.sandbox, a.id, a.kind, a.root_id, '_clients', a.key_id, 'ecdsa-p256', a.serial, a.subject, a.public_key,
        a.key_envelope, a.certificate, CASE a.is_active WHEN 1 THEN 'active' ELSE 'retired' END, a.not_before, a.not_after, a.created_at,
        CASE a.kind WHEN 'root' THEN ${ISSUING_LIFE_MS} END,
        CASE a.kind WHEN 'root' THEN ${ISSUING_LEFT_MS_MIN} END,
        CASE a.kind WHEN 'issuing' THEN a.not_after - ${ISSUING_LEFT_MS_MIN} END,
        CASE a.kind WHEN 'root' THEN (
          SELECT f.id FROM client_authorities f
          WHERE f.tenant_id = a.tenant_id AND f.sandbox = a.sandbox AND f.kind = 'root' AND f.created_at < a.created_at
          ORDER BY f.created_at DESC LIMIT 1
        ) END,
        a.revocations, a.list, a.list_number, a.list_revocations, a.list_this_update, a.list_next_update
      FROM client_authorities a`,
    `CREATE UNIQUE INDEX authorities_active_root ON authorities (tenant_id, sandbox, name)
      WHERE kind = 'root' AND status = 'active'`,
    `CREATE UNIQUE INDEX authorities_active_issuing ON authorities (tenant_id, sandbox, root_id)
      WHERE kind = 'issuing' AND status = 'active'`,
    'CREATE INDEX authorities_by_list ON authorities (list_this_update)',
    `CREATE INDEX authorities_by_end ON authorities (not_after, id)`,
    `CREATE TABLE authority_certificates (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      serial ${text} NOT NULL,
      root_id ${text} NOT NULL,
      authority_id ${text} NOT NULL,
      subject ${text} NOT NULL,
      dns ${text} NOT NULL,
      ips ${text} NOT NULL,
      role_id ${text},
      role_name ${text},
      client_id ${text},
      acme_account_id ${text},
      der ${bytes},
      not_before ${integer} NOT NULL,
      not_after ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      revoked_at ${integer},
      revocation_reason ${text},
      revocation_text ${text},
      PRIMARY KEY (tenant_id, sandbox, serial)
    )`,
    `INSERT INTO authority_certificates
      SELECT c.tenant_id, c.sandbox, c.serial, a.root_id, c.authority_id, '', '[]', '[]', NULL, NULL, c.client_id, NULL, NULL,
        (c.created_at - ${BACKDATED_MS}) / ${SECOND_MS} * ${SECOND_MS}, c.not_after, c.created_at, c.revoked_at, c.revocation_reason, NULL
      FROM client_certificates c JOIN client_authorities a
        ON a.tenant_id = c.tenant_id AND a.sandbox = c.sandbox AND a.id = c.authority_id`,
    `CREATE INDEX authority_certificates_revoked ON authority_certificates
      (tenant_id, sandbox, authority_id, revoked_at)`,
    `CREATE INDEX authority_certificates_by_root ON authority_certificates
      (tenant_id, sandbox, root_id, created_at)`,
    'CREATE INDEX authority_certificates_by_end ON authority_certificates (not_after, serial)',
    'DROP TABLE client_certificates',
    'DROP TABLE client_authorities',
    // Their work is done under other names.
    `DELETE FROM jobs WHERE kind IN (${FORMER_JOBS})`,
    `DELETE FROM job_kinds WHERE kind IN (${FORMER_JOBS})`,
  ],
};
