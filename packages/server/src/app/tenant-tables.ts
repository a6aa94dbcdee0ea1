import type { TenantTable } from '../platform/storage/tenant-rows.js';

/**
 * Every table with a `tenant_id`, in the order in which a deleted tenant's rows go: what refers to others comes before
 * them. A key is a column that few rows share, by which they go in batches; without one a tenant has few.
 */
export const TENANT_TABLES: readonly TenantTable[] = [
  { name: 'memberships', scope: 'tenant', key: null },
  { name: 'invitations', scope: 'tenant', key: null },
  { name: 'step_up_tokens', scope: 'system', key: 'token_hash' },
  { name: 'api_keys', scope: 'tenant+mode', key: 'id' },
  { name: 'oauth_refresh_tokens', scope: 'tenant+mode', key: 'token_hash' },
  { name: 'oauth_tokens', scope: 'tenant+mode', key: 'id' },
  { name: 'oauth_families', scope: 'tenant+mode', key: 'id' },
  { name: 'oauth_codes', scope: 'tenant+mode', key: 'code_hash' },
  { name: 'oauth_clients', scope: 'tenant+mode', key: 'id' },
  { name: 'oidc_binding_anchors', scope: 'tenant+mode', key: 'binding_id' },
  { name: 'oidc_bindings', scope: 'tenant+mode', key: 'id' },
  { name: 'client_token_uses', scope: 'tenant+mode', key: 'token_id' },
  { name: 'client_tokens', scope: 'tenant+mode', key: 'id' },
  { name: 'roles', scope: 'tenant', key: 'id' },
  { name: 'client_assignments', scope: 'tenant+mode', key: 'client_id' },
  { name: 'client_credentials', scope: 'tenant+mode', key: 'id' },
  { name: 'clients', scope: 'tenant+mode', key: 'id' },
  { name: 'acme_nonces', scope: 'tenant+mode', key: 'nonce' },
  { name: 'acme_challenges', scope: 'tenant+mode', key: 'id' },
  { name: 'acme_authorizations', scope: 'tenant+mode', key: 'id' },
  { name: 'acme_orders', scope: 'tenant+mode', key: 'id' },
  { name: 'acme_accounts', scope: 'tenant+mode', key: 'id' },
  { name: 'acme_keys', scope: 'tenant+mode', key: 'id' },
  { name: 'pki_roles', scope: 'tenant+mode', key: 'id' },
  { name: 'authority_certificates', scope: 'tenant+mode', key: 'serial' },
  { name: 'authorities', scope: 'tenant+mode', key: 'id' },
  { name: 'dyn_db_leases', scope: 'tenant+mode', key: 'id' },
  { name: 'dyn_db_roles', scope: 'tenant+mode', key: 'id' },
  { name: 'dyn_db_connections', scope: 'tenant+mode', key: 'id' },
  { name: 'vault_tokens', scope: 'tenant+mode', key: 'id' },
  { name: 'vaults', scope: 'tenant+mode', key: 'id' },
  { name: 'crypto_key_uses', scope: 'tenant+mode', key: 'key_id' },
  { name: 'crypto_key_versions', scope: 'tenant+mode', key: 'id' },
  { name: 'crypto_keys', scope: 'tenant+mode', key: 'id' },
  { name: 'redaction_rules', scope: 'tenant+mode', key: 'id' },
  { name: 'egress_allowlists', scope: 'tenant+mode', key: null },
  { name: 'idempotency_records', scope: 'tenant+mode', key: 'id' },
  { name: 'usage_counters', scope: 'tenant', key: null },
  { name: 'subscriptions', scope: 'tenant', key: null },
  { name: 'rate_limits', scope: 'tenant+mode', key: 'name' },
  { name: 'outbox', scope: 'tenant+mode', key: 'id' },
  { name: 'audit_unsealed', scope: 'tenant', key: 'audit_id' },
  { name: 'audit_chain', scope: 'tenant', key: 'sequence_number' },
  { name: 'audit_chain_heads', scope: 'tenant', key: null },
  { name: 'audit_checkpoints', scope: 'tenant', key: 'sequence_number' },
  { name: 'audit_logs', scope: 'tenant', key: 'id' },
  { name: 'tenant_kms', scope: 'tenant', key: null },
  { name: 'tenant_rewraps', scope: 'tenant', key: null },
  { name: 'tenant_master_keys', scope: 'tenant', key: null },
  { name: 'api_logs', scope: 'tenant+mode', key: 'id', file: 'log' },
];

/** Tables that keep what they have of a deleted tenant, and why. */
export const TABLES_KEPT: Readonly<Record<string, string>> = {
  audit_log_critical: 'append-only for ever (auth.md §8.2)',
  oidc_subject_claims: 'hashes: a workload must not become claimable by a stranger (auth.md §4)',
};
