import type { ColumnType } from 'kysely';
import type { TenantColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { kmsMigration } from './migrations/0003-kms.js';
import { rootKeyChangeMigration } from './migrations/0021-root-key-change.js';
import { kmsKeysMigration } from './migrations/0038-kms-keys.js';
import { tenantKmsMigration } from './migrations/0039-tenant-kms.js';
import { tenantRewrapsMigration } from './migrations/0043-tenant-rewraps.js';

/** With the root key, the operator's KMS, or the tenant's own (kms-admin.md §3.1). */
export type WrapMethod = 'global' | 'operator_kms' | 'customer_kms';
export type MasterKeyStatus = 'active' | 'retired' | 'revoked';

export interface TenantMasterKeyRow extends TenantColumns {
  version: number;
  status: MasterKeyStatus;
  wrap_method: WrapMethod;
  /** As the provider gave it; null once revoked. */
  wrapped: Buffer | null;
  /** The cloud's key that wrapped it, as `cloudKeyText` writes it; null where the root key did. */
  kms_key: ColumnType<string | null, string | null | undefined, string | null>;
  created_at: number;
  retired_at: ColumnType<number | null, number | null | undefined, number | null>;
}

/** The KMS that a tenant has configured; none = the default wraps its keys. */
export interface TenantKmsRow extends TenantColumns {
  /** As `cloudKeyText` writes it. */
  kms_key: string;
  /** By which other tenants are refused the same key or identity (`tenant-kms/references.ts`). */
  key_name: string;
  identity_name: string | null;
  /** Null = its key opens, as far as is known. */
  sealed_since: number | null;
  last_verified_at: number | null;
  last_verify_error: string | null;
  /** When the key was asked for last, whatever it said. */
  checked_at: number;
  created_at: number;
  updated_at: number;
}

export interface RootKeyCheckRow {
  wrap_method: WrapMethod;
  wrapped: Buffer;
  /** What the former root key opens, while a change of it is under way. */
  former_wrapped: ColumnType<Buffer | null, Buffer | null | undefined, Buffer | null>;
  created_at: number;
}

export interface InstallationRow {
  name: string;
  value: string;
  created_at: number;
}

export type RewrapStatus = 'pending' | 'running' | 'completed' | 'failed';

/** A tenant's newest pass (kms-admin.md §3.5). */
export interface TenantRewrapRow extends TenantColumns {
  /** The id of its job. */
  lease_id: number;
  target_version: number;
  status: RewrapStatus;
  /** Where the sweep goes on: a step of `envelopes.ts`, and the last row of it that was looked at. */
  cursor_step: string | null;
  cursor_row: string | null;
  /** Null until they were counted. */
  rows_total: number | null;
  rows_done: number;
  /** Of the sweep under way, as is the next. */
  rows_failed: number;
  sweep_done: number;
  last_error: string | null;
  issued_at: number;
  started_at: number | null;
  finished_at: number | null;
}

export interface KmsTables {
  tenant_master_keys: TenantMasterKeyRow;
  tenant_kms: TenantKmsRow;
  root_key_checks: RootKeyCheckRow;
  installation: InstallationRow;
  tenant_rewraps: TenantRewrapRow;
}

export const kmsTables: TableSet<KmsTables> = {
  tenant_master_keys: { scope: 'tenant' },
  tenant_kms: { scope: 'tenant' },
  root_key_checks: { scope: 'system' },
  installation: { scope: 'system' },
  tenant_rewraps: { scope: 'tenant' },
};

export const migrations: readonly Migration[] = [
  kmsMigration,
  rootKeyChangeMigration,
  kmsKeysMigration,
  tenantKmsMigration,
  tenantRewrapsMigration,
];
