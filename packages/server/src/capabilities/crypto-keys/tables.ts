import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { cryptoKeysMigration } from './migrations/0004-crypto-keys.js';
import { keyVersionsMigration } from './migrations/0024-key-versions.js';

/** Those of clients-pki.md §4.1 that exist. */
export type KeyType = 'aes256-gcm' | 'ecdh-p256';

export interface CryptoKeyRow extends TenantModeColumns {
  id: string;
  /** Null where another capability owns the key. */
  name: string | null;
  key_type: KeyType;
  current_version: number;
  deletion_allowed: number;
  created_at: number;
  updated_at: number;
}

export interface CryptoKeyVersionRow extends TenantModeColumns {
  id: string;
  key_id: string;
  version: number;
  /** Zeros once destroyed. */
  key_envelope: Buffer;
  created_at: number;
  destroyed_at: number | null;
}

export interface CryptoKeyTables {
  crypto_keys: CryptoKeyRow;
  crypto_key_versions: CryptoKeyVersionRow;
}

export const cryptoKeyTables: TableSet<CryptoKeyTables> = {
  crypto_keys: { scope: 'tenant+mode' },
  crypto_key_versions: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [cryptoKeysMigration, keyVersionsMigration];
