import type { Migration } from '../../../platform/storage/migration.js';

export const vaultTokenExpiryMigration: Migration = {
  id: '0023-vault-token-expiry',
  file: 'main',
  statements: ({ text, integer }) => [
    `ALTER TABLE vaults ADD COLUMN default_ttl_seconds ${integer}`,
    `ALTER TABLE vault_tokens ADD COLUMN expires_at ${integer}`,
    `ALTER TABLE vault_tokens ADD COLUMN card_expires_on ${text}`,
    `ALTER TABLE vault_tokens ADD COLUMN expiry_notice_at ${integer}`,
    // With id and expiry in it, tokens are counted and pages are found without reading a row.
    'DROP INDEX vault_tokens_by_age',
    `CREATE INDEX vault_tokens_by_age ON vault_tokens
      (tenant_id, sandbox, vault_id, created_at, id, expires_at)`,
    // Partial: a token that never expires costs these nothing.
    `CREATE INDEX vault_tokens_by_expiry ON vault_tokens (tenant_id, sandbox, vault_id, expires_at)
      WHERE expires_at IS NOT NULL`,
    `CREATE INDEX vault_tokens_by_notice ON vault_tokens (expiry_notice_at)
      WHERE expiry_notice_at IS NOT NULL`,
  ],
};
