import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { wrapMigration } from './migrations/0056-wrap.js';
import { egressObservationsMigration } from './migrations/0065-egress-observations.js';

export interface WrapCredentialRow extends TenantModeColumns {
  secret_id: string;
  provider: string;
  created_at: number;
}

export interface WrapTokenRow extends TenantModeColumns {
  id: string;
  token_hash: Buffer;
  /** Of a token with a host of its own: names it, and is no secret. */
  dns_label: string | null;
  secret_id: string;
  host: string;
  label: string | null;
  created_by: string;
  created_at: number;
  expires_at: number;
  /** The end of its life, or when it was revoked. */
  ends_at: number;
  revoked_at: number | null;
  last_used_at: number | null;
}

export interface EgressObservationRow extends TenantModeColumns {
  id: string;
  sdk: string;
  host: string;
  first_segment: string;
  method: string;
  header_name: string;
  call_count: number;
  first_seen: number;
  last_seen: number;
  reported_at: number;
}

export interface WrapTables {
  wrap_credentials: WrapCredentialRow;
  wrap_tokens: WrapTokenRow;
  egress_observations: EgressObservationRow;
}

export const wrapTables: TableSet<WrapTables> = {
  wrap_credentials: { scope: 'tenant+mode' },
  wrap_tokens: { scope: 'tenant+mode' },
  egress_observations: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [wrapMigration, egressObservationsMigration];
