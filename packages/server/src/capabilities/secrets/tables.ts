import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { secretsMigration } from './migrations/0054-secrets.js';
import { oauth2SecretsMigration } from './migrations/0055-oauth2-secrets.js';

/** dataplane.md §3. */
export const SECRET_TYPES = ['string', 'oauth2', 'certificate'] as const;
export type SecretType = (typeof SECRET_TYPES)[number];

export interface SecretRow extends TenantModeColumns {
  id: string;
  name: string;
  /** What names are compared by: `foldName`. */
  name_folded: string;
  secret_type: SecretType;
  /** The name of an environment. */
  base_environment: string;
  description: string | null;
  collection_id: string | null;
  expires_at: number | null;
  is_expiry_strict: number;
  /** JSON text, a list; null = unbound. */
  allowed_hosts: string | null;
  created_by: string | null;
  created_at: number;
  updated_at: number;
}

export interface SecretValueRow extends TenantModeColumns {
  id: string;
  secret_id: string;
  environment_name: string;
  value_version: number;
  /** Of a string its UTF-8, of a certificate JSON: `certificates/bundle.ts`. */
  value_envelope: Buffer;
  /** JSON text, of a certificate alone: what may be shown of it. */
  certificate_info: string | null;
  expires_at_override: number | null;
  created_at: number;
  updated_at: number;
}

export interface SecretTables {
  secrets: SecretRow;
  secret_values: SecretValueRow;
}

export const secretTables: TableSet<SecretTables> = {
  secrets: { scope: 'tenant+mode' },
  secret_values: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [secretsMigration, oauth2SecretsMigration];
