import type { Migration } from '../../../platform/storage/migration.js';

export const wrapMigration: Migration = {
  id: '0056-wrap',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    // What marks a secret as escrowed, and says for whose API.
    `CREATE TABLE wrap_credentials (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      secret_id ${text} NOT NULL,
      provider ${text} NOT NULL,
      created_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, secret_id),
      FOREIGN KEY (tenant_id, sandbox, secret_id) REFERENCES secrets (tenant_id, sandbox, id)
    )`,
    // `ends_at` is the end of its life, or when it was revoked. A revoked one stays behind its secret.
    `CREATE TABLE wrap_tokens (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      token_hash ${bytes} NOT NULL,
      dns_label ${text},
      secret_id ${text} NOT NULL,
      host ${text} NOT NULL,
      label ${text},
      created_by ${text} NOT NULL,
      created_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL,
      ends_at ${integer} NOT NULL,
      revoked_at ${integer},
      last_used_at ${integer},
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    'CREATE UNIQUE INDEX wrap_tokens_by_hash ON wrap_tokens (token_hash)',
    'CREATE INDEX wrap_tokens_by_end ON wrap_tokens (ends_at)',
    'CREATE INDEX wrap_tokens_by_time ON wrap_tokens (tenant_id, sandbox, created_at, id)',
    'CREATE INDEX wrap_tokens_by_secret ON wrap_tokens (tenant_id, sandbox, secret_id, id)',
  ],
};
