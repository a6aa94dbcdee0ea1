import type {
  ApiKeyId,
  OAuthClientId,
  OAuthFamilyId,
  OAuthTokenId,
  OidcBindingId,
  UserId,
} from '../../kernel/ids.js';
import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { oauthTokensMigration } from './migrations/0030-oauth-tokens.js';

interface OAuthTokensTable extends TenantModeColumns {
  id: OAuthTokenId;
  /**
   * Time of the mint in hex and SHA-256 in base64url, as text goes to a shared commit cheaper; the token itself is stored
   * nowhere (auth.md §0).
   */
  token_hash: string;
  /** These four say whose token it is: a user's names the client too. */
  api_key_id: ApiKeyId | null;
  oauth_client_id: OAuthClientId | null;
  user_id: UserId | null;
  binding_id: OidcBindingId | null;
  /** Of its source when it was minted; a source of a higher one has no part in it any more. */
  source_epoch: number;
  grant_type: string;
  /** Permissions with a space between, in order; `*` = every one that a token can have. */
  scopes: string;
  /** RFC 7638 thumbprint of the key that it is bound to (RFC 9449 §6). */
  cnf_jkt: string | null;
  family_id: OAuthFamilyId | null;
  /** The token that was given in exchange for it. */
  parent_token_id: OAuthTokenId | null;
  ip_address: string | null;
  issued_at: number;
  expires_at: number;
  revoked_at: number | null;
}

/** All that comes of one consent of a user: refresh tokens, one behind the other, and access tokens. */
interface OAuthFamiliesTable extends TenantModeColumns {
  id: OAuthFamilyId;
  oauth_client_id: OAuthClientId;
  user_id: UserId;
  source_epoch: number;
  grant_type: string;
  scopes: string;
  cnf_jkt: string | null;
  refreshes: number;
  created_at: number;
  /** Never beyond `expires_at`. */
  idle_expires_at: number;
  expires_at: number;
  revoked_at: number | null;
  revoked_reason: string | null;
}

/** Those that were used stay until the family goes, so that a second use is seen. */
interface OAuthRefreshTokensTable extends TenantModeColumns {
  token_hash: Buffer;
  family_id: OAuthFamilyId;
  issued_at: number;
  used_at: number | null;
  ip_address: string | null;
  /** The answer to its use, under a key that only the token itself gives; for clients with a grace. */
  sealed_answer: Buffer | null;
}

export interface OAuthTables {
  oauth_tokens: OAuthTokensTable;
  oauth_families: OAuthFamiliesTable;
  oauth_refresh_tokens: OAuthRefreshTokensTable;
}

export const oauthTables: TableSet<OAuthTables> = {
  oauth_tokens: { scope: 'tenant+mode' },
  oauth_families: { scope: 'tenant+mode' },
  oauth_refresh_tokens: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [oauthTokensMigration];
