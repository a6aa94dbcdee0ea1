import type { OAuthClientId, OAuthFamilyId, TenantId, UserId } from '../../kernel/ids.js';
import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { oauthConsentMigration } from './migrations/0034-oauth-consent.js';

interface OAuthCodesTable extends TenantModeColumns {
  /** SHA-256; the code itself is stored nowhere. */
  code_hash: Buffer;
  oauth_client_id: OAuthClientId;
  /** 1: asked for as `knoxcall-cli`, and redeemed so (auth.md §2.4). */
  by_alias: 0 | 1;
  user_id: UserId;
  source_epoch: number;
  redirect_uri: string;
  /** RFC 7636 §4.2, S256. */
  code_challenge: string;
  /** Names with a space between. */
  scopes: string;
  /** RFC 9449 §10: the key whose proof the redemption must bring. */
  dpop_jkt: string | null;
  /** Of what it gave; a second redemption ends it. */
  family_id: OAuthFamilyId | null;
  expires_at: number;
  used_at: number | null;
}

export const DEVICE_STATUSES = ['pending', 'approved', 'denied', 'used'] as const;
export type DeviceStatus = (typeof DEVICE_STATUSES)[number];

/** What a device asks for before anybody has said for which tenant: so no tenant's row. */
interface OAuthDevicesTable {
  device_code_hash: Buffer;
  user_code_hash: Buffer;
  /** Null until it is approved, of the CLI's alias; a registered client's tenant. */
  owner_tenant_id: TenantId | null;
  sandbox: 0 | 1;
  oauth_client_id: OAuthClientId | null;
  by_alias: 0 | 1;
  /** Null = everything that the client may have. */
  asked_scopes: string | null;
  /** What was approved. */
  scopes: string | null;
  user_id: UserId | null;
  source_epoch: number | null;
  status: DeviceStatus;
  interval_seconds: number;
  last_polled_at: number | null;
  ip_address: string | null;
  /** What the bound on waiting devices counts by. */
  network: string;
  created_at: number;
  expires_at: number;
}

export interface OAuthConsentTables {
  oauth_codes: OAuthCodesTable;
  oauth_devices: OAuthDevicesTable;
}

export const oauthConsentTables: TableSet<OAuthConsentTables> = {
  oauth_codes: { scope: 'tenant+mode' },
  oauth_devices: { scope: 'system' },
};

export const migrations: readonly Migration[] = [oauthConsentMigration];
