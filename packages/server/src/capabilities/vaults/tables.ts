import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { vaultsMigration } from './migrations/0007-vaults.js';
import { vaultTokenExpiryMigration } from './migrations/0023-vault-token-expiry.js';

/** dataplane.md §6.2. */
export const TOKEN_FORMATS = ['generic', 'pan', 'ssn', 'email', 'uuid'] as const;
export type TokenFormat = (typeof TOKEN_FORMATS)[number];

/** `managed`: values are stored here; `dual`: the customer keeps each ciphertext, and only the key is here. */
export const CUSTODY_MODES = ['managed', 'dual'] as const;
export type CustodyMode = (typeof CUSTODY_MODES)[number];

export interface VaultRow extends TenantModeColumns {
  id: string;
  name: string;
  token_format: TokenFormat;
  crypto_key_id: string;
  custody_mode: CustodyMode;
  description: string | null;
  /** JSON text. */
  metadata: string | null;
  enabled: number;
  echo_guard: number;
  created_at: number;
  updated_at: number;
  created_by: string | null;
  default_ttl_seconds: number | null;
}

export interface VaultTokenRow extends TenantModeColumns {
  id: string;
  vault_id: string;
  token: string;
  crypto_key_version: number;
  /** Sealed under the vault's key, bound to tenant, mode, vault and row. */
  ciphertext: Buffer;
  /** JSON text. */
  metadata: string | null;
  created_at: number;
  created_by_api_key_id: string | null;
  created_by_user_id: string | null;
  expires_at: number | null;
  /** ISO date; of card numbers only. */
  card_expires_on: string | null;
  /** When the next event about the card's end is due; null = none is. */
  expiry_notice_at: number | null;
}

export interface VaultTables {
  vaults: VaultRow;
  vault_tokens: VaultTokenRow;
}

export const vaultTables: TableSet<VaultTables> = {
  vaults: { scope: 'tenant+mode' },
  vault_tokens: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [vaultsMigration, vaultTokenExpiryMigration];
