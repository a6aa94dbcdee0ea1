import type { Migration } from '../../../platform/storage/migration.js';

export const clientTokensMigration: Migration = {
  id: '0050-client-tokens',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE client_tokens (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      token_hash ${bytes} NOT NULL,
      action ${text} NOT NULL,
      data_hash ${bytes},
      role ${text},
      vault_id ${text},
      origins ${text},
      maker_kind ${text} NOT NULL,
      maker_id ${text} NOT NULL,
      misses ${integer} NOT NULL DEFAULT 0,
      created_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    'CREATE UNIQUE INDEX client_tokens_by_hash ON client_tokens (token_hash)',
    'CREATE INDEX client_tokens_by_end ON client_tokens (expires_at)',
    // A row of its own, inserted with what the use does: its primary key lets one use in.
    `CREATE TABLE client_token_uses (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      token_id ${text} NOT NULL,
      used_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, token_id)
    )`,
  ],
};
