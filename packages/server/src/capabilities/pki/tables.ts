import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import type { KeyAlgorithm } from '../x509/index.js';
import { pkiMigration } from './migrations/0047-pki.js';

export interface PkiRoleRow extends TenantModeColumns {
  id: string;
  /** The root is a row of `capabilities/authorities`, and never deleted. */
  root_id: string;
  name: string;
  /** JSON text: a list. */
  allowed_domains: string;
  allow_subdomains: number;
  allow_wildcards: number;
  allow_ip_sans: number;
  allow_acme: number;
  acme_require_eab: number;
  max_ttl_seconds: number;
  default_ttl_seconds: number;
  key_algorithm: KeyAlgorithm;
  created_at: number;
  updated_at: number;
}

/** How far the ends of certificates have been told of: all that end sooner have been, so many days before. */
export interface PkiNoticeMarkRow {
  subject_kind: 'roots' | 'certificates';
  days_before: number;
  not_after: number;
  /** Of those that end at that moment the last one. */
  told_id: string;
}

export interface PkiTables {
  pki_roles: PkiRoleRow;
  pki_notice_marks: PkiNoticeMarkRow;
}

export const pkiTables: TableSet<PkiTables> = {
  pki_roles: { scope: 'tenant+mode' },
  pki_notice_marks: { scope: 'system' },
};

export const migrations: readonly Migration[] = [pkiMigration];
