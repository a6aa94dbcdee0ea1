import type { Migration } from '../../../platform/storage/migration.js';

export const clientCaMigration: Migration = {
  id: '0035-client-ca',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE client_authorities (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      kind ${text} NOT NULL,
      root_id ${text} NOT NULL,
      key_id ${text} NOT NULL,
      serial ${text} NOT NULL,
      subject ${text} NOT NULL,
      public_key ${bytes} NOT NULL,
      key_envelope ${bytes} NOT NULL,
      certificate ${bytes} NOT NULL,
      is_active ${integer} NOT NULL,
      not_before ${integer} NOT NULL,
      not_after ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      revocations ${integer} NOT NULL,
      list ${bytes} NOT NULL,
      list_number ${integer} NOT NULL,
      list_revocations ${integer} NOT NULL,
      list_this_update ${integer} NOT NULL,
      list_next_update ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, root_id, key_id)
    )`,
    `CREATE UNIQUE INDEX client_authorities_active ON client_authorities (tenant_id, sandbox, kind)
      WHERE is_active = 1`,
    `CREATE INDEX client_authorities_by_list ON client_authorities (list_this_update)`,
    `CREATE TABLE client_certificates (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      serial ${text} NOT NULL,
      authority_id ${text} NOT NULL,
      client_id ${text} NOT NULL,
      not_after ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      revoked_at ${integer},
      revocation_reason ${text},
      PRIMARY KEY (tenant_id, sandbox, serial)
    )`,
    `CREATE INDEX client_certificates_revoked ON client_certificates
      (tenant_id, sandbox, authority_id, revoked_at)`,
    `CREATE INDEX client_certificates_by_end ON client_certificates (not_after)`,
  ],
};
