import type { Migration } from '../../../platform/storage/migration.js';

export const acmeMigration: Migration = {
  id: '0048-acme',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE acme_nonces (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      nonce ${text} NOT NULL,
      expires_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, nonce)
    )`,
    'CREATE INDEX acme_nonces_expiry ON acme_nonces (expires_at)',
    `CREATE TABLE acme_keys (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      role_id ${text} NOT NULL,
      label ${text},
      key_envelope ${bytes} NOT NULL,
      account_id ${text},
      bound_at ${integer},
      created_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    'CREATE INDEX acme_keys_by_role ON acme_keys (tenant_id, sandbox, role_id)',
    `CREATE TABLE acme_accounts (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      root_id ${text} NOT NULL,
      role_id ${text} NOT NULL,
      status ${text} NOT NULL,
      jwk ${text} NOT NULL,
      thumbprint ${text} NOT NULL,
      contacts ${text} NOT NULL,
      terms_agreed ${integer} NOT NULL,
      external_binding ${text},
      created_at ${integer} NOT NULL,
      ended_at ${integer},
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, role_id, thumbprint)
    )`,
    'CREATE INDEX acme_accounts_by_end ON acme_accounts (ended_at)',
    `CREATE TABLE acme_orders (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      account_id ${text} NOT NULL,
      status ${text} NOT NULL,
      names ${text} NOT NULL,
      csr ${bytes},
      error ${text},
      serial ${text},
      certificate ${text},
      created_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    'CREATE INDEX acme_orders_by_account ON acme_orders (tenant_id, sandbox, account_id, created_at)',
    'CREATE INDEX acme_orders_expiry ON acme_orders (expires_at)',
    `CREATE TABLE acme_authorizations (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      account_id ${text} NOT NULL,
      order_id ${text} NOT NULL,
      name ${text} NOT NULL,
      is_wildcard ${integer} NOT NULL,
      status ${text} NOT NULL,
      expires_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    'CREATE INDEX acme_authorizations_by_order ON acme_authorizations (tenant_id, sandbox, order_id)',
    `CREATE INDEX acme_authorizations_by_account ON acme_authorizations
      (tenant_id, sandbox, account_id, status)`,
    `CREATE TABLE acme_challenges (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      authorization_id ${text} NOT NULL,
      type ${text} NOT NULL,
      token ${text} NOT NULL,
      status ${text} NOT NULL,
      error ${text},
      validated_at ${integer},
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    `CREATE INDEX acme_challenges_by_authorization ON acme_challenges
      (tenant_id, sandbox, authorization_id)`,
  ],
};
