import type { Migration } from '../../../platform/storage/migration.js';

export const oidcBindingsMigration: Migration = {
  id: '0032-oidc-bindings',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE oidc_bindings (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      name ${text} NOT NULL,
      provider ${text} NOT NULL,
      issuer ${text} NOT NULL,
      audiences ${text} NOT NULL,
      subject ${text},
      claims ${text} NOT NULL,
      access ${text} NOT NULL,
      ttl_seconds ${integer} NOT NULL,
      enabled ${integer} NOT NULL,
      last_used_at ${integer},
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      deleted_at ${integer},
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    `CREATE INDEX oidc_bindings_by_deletion ON oidc_bindings (deleted_at)`,
    `CREATE TABLE oidc_binding_anchors (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      binding_id ${text} NOT NULL,
      anchor ${bytes} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, binding_id, anchor)
    )`,
    `CREATE INDEX oidc_binding_anchors_by_anchor ON oidc_binding_anchors (anchor)`,
    `CREATE INDEX oidc_binding_anchors_by_binding ON oidc_binding_anchors (binding_id)`,
    `CREATE TABLE oidc_assertions (
      assertion_hash ${bytes} PRIMARY KEY,
      expires_at ${integer} NOT NULL
    )`,
    `CREATE INDEX oidc_assertions_by_expiry ON oidc_assertions (expires_at)`,
    `CREATE TABLE oidc_subject_claims (
      subject_hash ${bytes} PRIMARY KEY,
      tenant_id ${text} NOT NULL,
      claimed_at ${integer} NOT NULL
    )`,
  ],
};
