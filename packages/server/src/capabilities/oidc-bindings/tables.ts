import type { TenantId } from '../../kernel/ids.js';
import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { oidcBindingsMigration } from './migrations/0032-oidc-bindings.js';
import type { Provider } from './providers/profiles.js';

export interface OidcBindingRow extends TenantModeColumns {
  id: string;
  name: string;
  provider: Provider;
  issuer: string;
  /** JSON text, a list. */
  audiences: string;
  subject: string | null;
  /** JSON text, an object of lists. */
  claims: string;
  /** JSON text: `{"role_ids":[]}` or `{"scopes":[]}`. */
  access: string;
  ttl_seconds: number;
  enabled: number;
  last_used_at: number | null;
  created_at: number;
  updated_at: number;
  /** Kept for 90 days: what is deleted still counts where the bare audience is judged (auth.md §4). */
  deleted_at: number | null;
}

/** By what a binding is found for an assertion that names no tenant: `matching/anchors.ts`. */
export interface OidcBindingAnchorRow extends TenantModeColumns {
  binding_id: string;
  anchor: Buffer;
}

export interface OidcAssertionRow {
  assertion_hash: Buffer;
  expires_at: number;
}

/** The tenant that a subject belongs to, by mode and issuer: the one that it named first (auth.md §4). */
export interface OidcSubjectClaimRow {
  subject_hash: Buffer;
  tenant_id: TenantId;
  claimed_at: number;
}

export interface OidcBindingTables {
  oidc_bindings: OidcBindingRow;
  oidc_binding_anchors: OidcBindingAnchorRow;
  oidc_assertions: OidcAssertionRow;
  oidc_subject_claims: OidcSubjectClaimRow;
}

export const oidcBindingTables: TableSet<OidcBindingTables> = {
  oidc_bindings: { scope: 'tenant+mode' },
  oidc_binding_anchors: { scope: 'tenant+mode' },
  oidc_assertions: { scope: 'system' },
  oidc_subject_claims: { scope: 'system' },
};

export const migrations: readonly Migration[] = [oidcBindingsMigration];
