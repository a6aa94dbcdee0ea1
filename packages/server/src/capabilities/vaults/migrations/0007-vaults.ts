import type { Migration } from '../../../platform/storage/migration.js';

export const vaultsMigration: Migration = {
  id: '0007-vaults',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE vaults (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      name ${text} NOT NULL,
      token_format ${text} NOT NULL,
      crypto_key_id ${text} NOT NULL,
      custody_mode ${text} NOT NULL,
      description ${text},
      metadata ${text},
      enabled ${integer} NOT NULL,
      echo_guard ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      created_by ${text},
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, name)
    )`,
    // The foreign key refuses a token whose vault is deleted while it is being made. The unique key begins with the
    // token, because an unqualified template names the token alone.
    `CREATE TABLE vault_tokens (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      vault_id ${text} NOT NULL,
      token ${text} NOT NULL,
      crypto_key_version ${integer} NOT NULL,
      ciphertext ${bytes} NOT NULL,
      metadata ${text},
      created_at ${integer} NOT NULL,
      created_by_api_key_id ${text},
      created_by_user_id ${text},
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, token, vault_id),
      FOREIGN KEY (tenant_id, sandbox, vault_id) REFERENCES vaults (tenant_id, sandbox, id)
    )`,
    'CREATE INDEX vault_tokens_by_age ON vault_tokens (tenant_id, sandbox, vault_id, created_at)',
  ],
};
