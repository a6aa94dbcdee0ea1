import type { Migration } from '../../../platform/storage/migration.js';

export const oauthTokensMigration: Migration = {
  id: '0030-oauth-tokens',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE oauth_tokens (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      token_hash ${text} NOT NULL,
      api_key_id ${text},
      oauth_client_id ${text},
      user_id ${text},
      binding_id ${text},
      source_epoch ${integer} NOT NULL,
      grant_type ${text} NOT NULL,
      scopes ${text} NOT NULL,
      cnf_jkt ${text},
      family_id ${text},
      parent_token_id ${text},
      ip_address ${text},
      issued_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL,
      revoked_at ${integer},
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    // A credential names its tenant, so this one lookup crosses tenants.
    'CREATE INDEX oauth_tokens_by_hash ON oauth_tokens (token_hash)',
    'CREATE INDEX oauth_tokens_by_end ON oauth_tokens (expires_at)',
    `CREATE INDEX oauth_tokens_by_family ON oauth_tokens (tenant_id, sandbox, family_id)
      WHERE family_id IS NOT NULL`,
    `CREATE INDEX oauth_tokens_by_parent ON oauth_tokens (tenant_id, sandbox, parent_token_id)
      WHERE parent_token_id IS NOT NULL`,
    `CREATE TABLE oauth_families (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      oauth_client_id ${text} NOT NULL,
      user_id ${text} NOT NULL,
      source_epoch ${integer} NOT NULL,
      grant_type ${text} NOT NULL,
      scopes ${text} NOT NULL,
      cnf_jkt ${text},
      refreshes ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      idle_expires_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL,
      revoked_at ${integer},
      revoked_reason ${text},
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    'CREATE INDEX oauth_families_by_end ON oauth_families (idle_expires_at)',
    `CREATE TABLE oauth_refresh_tokens (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      token_hash ${bytes} NOT NULL,
      family_id ${text} NOT NULL,
      issued_at ${integer} NOT NULL,
      used_at ${integer},
      ip_address ${text},
      sealed_answer ${bytes},
      PRIMARY KEY (tenant_id, sandbox, token_hash)
    )`,
    'CREATE INDEX oauth_refresh_tokens_by_hash ON oauth_refresh_tokens (token_hash)',
    'CREATE INDEX oauth_refresh_tokens_by_family ON oauth_refresh_tokens (tenant_id, sandbox, family_id)',
  ],
};
