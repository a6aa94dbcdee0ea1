import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { cryptoKeysMigration } from './migrations/0004-crypto-keys.js';

export type KeyType = 'aes256-gcm';

export interface CryptoKeyRow extends TenantModeColumns {
  id: string;
  key_type: KeyType;
  current_version: number;
  created_at: number;
  updated_at: number;
}

export interface CryptoKeyVersionRow extends TenantModeColumns {
  id: string;
  key_id: string;
  version: number;
  key_envelope: Buffer;
  created_at: number;
}

export interface CryptoKeyTables {
  crypto_keys: CryptoKeyRow;
  crypto_key_versions: CryptoKeyVersionRow;
}

export const cryptoKeyTables: TableSet<CryptoKeyTables> = {
  crypto_keys: { scope: 'tenant+mode' },
  crypto_key_versions: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [cryptoKeysMigration];
