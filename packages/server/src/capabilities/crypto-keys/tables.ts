import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { cryptoKeysMigration } from './migrations/0004-crypto-keys.js';
import { keyVersionsMigration } from './migrations/0024-key-versions.js';
import { transitKeysMigration } from './migrations/0049-transit-keys.js';

/** clients-pki.md §4.1. */
export const KEY_TYPES = [
  'aes256-gcm',
  'hmac-sha256',
  'hmac-sha512',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
  'ecdsa-p256',
  'ecdsa-p384',
  'ed25519',
  'ecdh-p256',
] as const;
export type KeyType = (typeof KEY_TYPES)[number];

export const KEY_MODES = ['cloud-only', 'bundled'] as const;
export type KeyMode = (typeof KEY_MODES)[number];

export interface CryptoKeyRow extends TenantModeColumns {
  id: string;
  /** Null where another capability owns the key. */
  name: string | null;
  key_type: KeyType;
  current_version: number;
  deletion_allowed: number;
  mode: KeyMode;
  description: string | null;
  created_by: string | null;
  created_at: number;
  updated_at: number;
}

export interface CryptoKeyVersionRow extends TenantModeColumns {
  id: string;
  key_id: string;
  version: number;
  /** Zeros once destroyed. */
  key_envelope: Buffer;
  /** SPKI in DER of asymmetric keys; null too of `ecdh-p256` keys made before migration 0049. */
  public_key: Buffer | null;
  created_at: number;
  destroyed_at: number | null;
}

/** How often a version may have encrypted: reserved in slices, so at least as often as it has. */
export interface CryptoKeyUseRow extends TenantModeColumns {
  key_id: string;
  version: number;
  encryptions: number;
}

export interface CryptoKeyTables {
  crypto_keys: CryptoKeyRow;
  crypto_key_versions: CryptoKeyVersionRow;
  crypto_key_uses: CryptoKeyUseRow;
}

export const cryptoKeyTables: TableSet<CryptoKeyTables> = {
  crypto_keys: { scope: 'tenant+mode' },
  crypto_key_versions: { scope: 'tenant+mode' },
  crypto_key_uses: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [
  cryptoKeysMigration,
  keyVersionsMigration,
  transitKeysMigration,
];
