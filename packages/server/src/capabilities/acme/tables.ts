import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { acmeMigration } from './migrations/0048-acme.js';
import { acmeOrderWindowsMigration } from './migrations/0052-acme-order-windows.js';

/** RFC 8555 §7.1.6. */
export type AccountStatus = 'valid' | 'deactivated' | 'revoked';
export type OrderStatus = 'pending' | 'ready' | 'processing' | 'valid' | 'invalid';
export type AuthorizationStatus = 'pending' | 'valid' | 'invalid' | 'deactivated' | 'expired';
export type ChallengeStatus = 'pending' | 'processing' | 'valid' | 'invalid';
export type ChallengeType = 'http-01' | 'dns-01';

/** A nonce that was used; what was given out and not used is nowhere. */
export interface AcmeNonceRow extends TenantModeColumns {
  nonce: string;
  expires_at: number;
}

export interface AcmeKeyRow extends TenantModeColumns {
  /** The `kid` of RFC 8555 §7.3.4. */
  id: string;
  role_id: string;
  label: string | null;
  /** Of the 32 bytes themselves: HS256 needs them. */
  key_envelope: Buffer;
  /** Of the one account that it is good for; null while it was not used. */
  account_id: string | null;
  bound_at: number | null;
  created_at: number;
}

export interface AcmeAccountRow extends TenantModeColumns {
  id: string;
  root_id: string;
  role_id: string;
  status: AccountStatus;
  /** JSON text. */
  jwk: string;
  /** RFC 7638. */
  thumbprint: string;
  /** JSON text: a list of `mailto:` addresses. */
  contacts: string;
  terms_agreed: number;
  /** JSON text: the member of the request as it was sent (RFC 8555 §7.3.4). */
  external_binding: string | null;
  created_at: number;
  ended_at: number | null;
}

export interface AcmeOrderRow extends TenantModeColumns {
  id: string;
  account_id: string;
  status: OrderStatus;
  /** JSON text: names in lower case and A-labels, in order. */
  names: string;
  /** DER, from finalize on. */
  csr: Buffer | null;
  /** JSON text: a problem document. */
  error: string | null;
  serial: string | null;
  /** PEM: the certificate, then its issuers but the root. */
  certificate: string | null;
  created_at: number;
  expires_at: number;
}

export interface AcmeAuthorizationRow extends TenantModeColumns {
  id: string;
  account_id: string;
  order_id: string;
  /** Without the star of a wildcard. */
  name: string;
  is_wildcard: number;
  status: AuthorizationStatus;
  expires_at: number;
}

export interface AcmeChallengeRow extends TenantModeColumns {
  id: string;
  authorization_id: string;
  type: ChallengeType;
  token: string;
  status: ChallengeStatus;
  /** JSON text: a problem document. */
  error: string | null;
  validated_at: number | null;
}

/** What accounts without a key have begun in a role, since a window began; one row a role. */
export interface AcmeOrderWindowRow extends TenantModeColumns {
  role_id: string;
  ends_at: number;
  orders: number;
  names: number;
}

export interface AcmeTables {
  acme_nonces: AcmeNonceRow;
  acme_keys: AcmeKeyRow;
  acme_accounts: AcmeAccountRow;
  acme_orders: AcmeOrderRow;
  acme_authorizations: AcmeAuthorizationRow;
  acme_challenges: AcmeChallengeRow;
  acme_order_windows: AcmeOrderWindowRow;
}

export const acmeTables: TableSet<AcmeTables> = {
  acme_nonces: { scope: 'tenant+mode' },
  acme_keys: { scope: 'tenant+mode' },
  acme_accounts: { scope: 'tenant+mode' },
  acme_orders: { scope: 'tenant+mode' },
  acme_authorizations: { scope: 'tenant+mode' },
  acme_challenges: { scope: 'tenant+mode' },
  acme_order_windows: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [acmeMigration, acmeOrderWindowsMigration];
