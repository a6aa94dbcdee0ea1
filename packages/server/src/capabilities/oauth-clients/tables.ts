import type { OAuthClientId } from '../../kernel/ids.js';
import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { oauthClientsMigration } from './migrations/0029-oauth-clients.js';

interface OAuthClientsTable extends TenantModeColumns {
  id: OAuthClientId;
  /** On the wire: `kcc_live_…`. */
  client_id: string;
  /** SHA-256; null of a public client. */
  secret_hash: Buffer | null;
  /** Goes up with each new secret: what the old one minted is of a lower one, and so dead (auth.md §2.9). */
  secret_epoch: number;
  name: string;
  type: string;
  /** JSON text, a list; so are the other lists. */
  grant_types: string;
  /** Null = whatever the user holds: of the client of the CLI alone. */
  allowed_scopes: string | null;
  redirect_uris: string;
  require_dpop: number;
  require_dpop_nonce: number;
  refresh_grace_seconds: number;
  consent_html_template: string | null;
  step_up_scopes: string;
  active: number;
  system_role: string | null;
  created_at: number;
  last_used_at: number | null;
  revoked_at: number | null;
}

export interface OAuthClientsTables {
  oauth_clients: OAuthClientsTable;
}

export const oauthClientsTables: TableSet<OAuthClientsTables> = { oauth_clients: { scope: 'tenant+mode' } };

export const migrations: readonly Migration[] = [oauthClientsMigration];
