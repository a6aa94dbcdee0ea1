import type { Migration } from '../../../platform/storage/migration.js';

export const oauthConsentMigration: Migration = {
  id: '0034-oauth-consent',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE oauth_codes (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      code_hash ${bytes} NOT NULL,
      oauth_client_id ${text} NOT NULL,
      by_alias ${integer} NOT NULL,
      user_id ${text} NOT NULL,
      source_epoch ${integer} NOT NULL,
      redirect_uri ${text} NOT NULL,
      code_challenge ${text} NOT NULL,
      scopes ${text} NOT NULL,
      dpop_jkt ${text},
      family_id ${text},
      expires_at ${integer} NOT NULL,
      used_at ${integer},
      PRIMARY KEY (tenant_id, sandbox, code_hash)
    )`,
    // A code names its tenant, so this one look-up crosses tenants.
    'CREATE INDEX oauth_codes_by_hash ON oauth_codes (code_hash)',
    'CREATE INDEX oauth_codes_by_end ON oauth_codes (expires_at)',
    `CREATE TABLE oauth_devices (
      device_code_hash ${bytes} NOT NULL PRIMARY KEY,
      user_code_hash ${bytes} NOT NULL,
      owner_tenant_id ${text},
      sandbox ${integer} NOT NULL,
      oauth_client_id ${text},
      by_alias ${integer} NOT NULL,
      asked_scopes ${text},
      scopes ${text},
      user_id ${text},
      source_epoch ${integer},
      status ${text} NOT NULL,
      interval_seconds ${integer} NOT NULL,
      last_polled_at ${integer},
      ip_address ${text},
      network ${text} NOT NULL,
      created_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL
    )`,
    'CREATE UNIQUE INDEX oauth_devices_by_user_code ON oauth_devices (user_code_hash)',
    'CREATE INDEX oauth_devices_by_end ON oauth_devices (expires_at)',
    'CREATE INDEX oauth_devices_by_network ON oauth_devices (network, expires_at)',
  ],
};
