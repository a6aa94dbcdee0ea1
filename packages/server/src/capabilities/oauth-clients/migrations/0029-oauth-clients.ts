import type { Migration } from '../../../platform/storage/migration.js';

export const oauthClientsMigration: Migration = {
  id: '0029-oauth-clients',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE oauth_clients (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      client_id ${text} NOT NULL,
      secret_hash ${bytes},
      secret_epoch ${integer} NOT NULL,
      name ${text} NOT NULL,
      type ${text} NOT NULL,
      grant_types ${text} NOT NULL,
      allowed_scopes ${text},
      redirect_uris ${text} NOT NULL,
      require_dpop ${integer} NOT NULL,
      require_dpop_nonce ${integer} NOT NULL,
      refresh_grace_seconds ${integer} NOT NULL,
      consent_html_template ${text},
      step_up_scopes ${text} NOT NULL,
      active ${integer} NOT NULL,
      system_role ${text},
      created_at ${integer} NOT NULL,
      last_used_at ${integer},
      revoked_at ${integer},
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, client_id),
      UNIQUE (tenant_id, sandbox, system_role)
    )`,
    // A client names its tenant, so this one lookup crosses tenants.
    'CREATE INDEX oauth_clients_by_client_id ON oauth_clients (client_id)',
    'CREATE INDEX oauth_clients_by_time ON oauth_clients (tenant_id, sandbox, created_at, id)',
  ],
};
