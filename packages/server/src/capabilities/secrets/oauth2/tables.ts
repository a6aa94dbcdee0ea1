import type { TenantModeColumns } from '../../../platform/storage/columns.js';
import type { TableSet } from '../../../platform/storage/database.js';

/** dataplane.md §3. */
export const PROVIDERS = ['google', 'github', 'salesforce', 'microsoft', 'slack', 'custom'] as const;
export type ProviderName = (typeof PROVIDERS)[number];

export const GRANT_TYPES = ['authorization_code', 'client_credentials', 'password', 'implicit'] as const;
export type GrantType = (typeof GRANT_TYPES)[number];

/** How the client says who it is (RFC 6749 §2.3.1). */
export type ClientAuth = 'basic' | 'post';

/** `transient`: to be tried again as it is; `permanent`: a person has to do something. */
export type FailureKind = 'transient' | 'permanent';

export interface OAuth2SecretRow extends TenantModeColumns {
  id: string;
  secret_id: string;
  provider: ProviderName;
  grant_type: GrantType;
  client_id: string;
  auth_url: string | null;
  token_url: string;
  /** JSON text, a list. */
  scopes: string;
  /** Null: not found out yet. */
  client_auth: ClientAuth | null;
  /** A secret of type `certificate`. */
  mtls_certificate_id: string | null;
  /** Of JSON: `client_secret`, `username`, `password`. */
  credentials_envelope: Buffer;
  /** One more with each change of what tokens are asked for with. */
  config_version: number;
}

export interface OAuth2ConnectionRow extends TenantModeColumns {
  id: string;
  secret_id: string;
  environment_name: string;
  /** One more with each set of tokens, and when they are dropped. */
  token_version: number;
  /** Of JSON: `access_token`, `refresh_token`; null = not connected. */
  tokens_envelope: Buffer | null;
  token_type: string | null;
  scope: string | null;
  /** Of the access token; null = it says no end. */
  expires_at: number | null;
  /** 1 where a new access token is had without a person. */
  is_renewable: number;
  /** When the background job renews it; null = never. */
  renew_at: number | null;
  /** After a failure nobody tries before then. */
  retry_at: number | null;
  attempts: number;
  failure: FailureKind | null;
  last_error: string | null;
  obtained_at: number | null;
  /** Somebody has asked for a token and stored neither it nor a failure yet. */
  began_at: number | null;
  claim_owner: string | null;
  claim_until: number | null;
  created_at: number;
  updated_at: number;
}

export interface OAuth2VisitRow extends TenantModeColumns {
  id: string;
  secret_id: string;
  environment_name: string;
  state_hash: Buffer;
  /** Of the PKCE verifier. */
  verifier_envelope: Buffer;
  redirect_uri: string;
  config_version: number;
  /** JSON text: who began. */
  actor: string;
  created_at: number;
  expires_at: number;
}

export interface OAuth2Tables {
  oauth2_secrets: OAuth2SecretRow;
  oauth2_connections: OAuth2ConnectionRow;
  oauth2_visits: OAuth2VisitRow;
}

export const oauth2Tables: TableSet<OAuth2Tables> = {
  oauth2_secrets: { scope: 'tenant+mode' },
  oauth2_connections: { scope: 'tenant+mode' },
  oauth2_visits: { scope: 'tenant+mode' },
};
