/** A part of the product, as users of both kinds of deployment know it (kms-admin.md §4, §5, §6). */
export interface Feature {
  readonly id: string;
  readonly name: string;
  /** First segments below which its endpoints stand; of several that fit the longest counts. None = nothing is built. */
  readonly paths: readonly string[];
  /** Whether a hosted server and one's own have the same. */
  readonly parity: 'same' | 'differs' | 'cloud_only' | 'self_hosted_only';
  /** In what they differ. */
  readonly note?: string;
  /** The variable that switches it. */
  readonly variable?: string;
}

/** What is not built is here too: what is asked for and missing is what a matrix is read for. */
export const FEATURES: readonly Feature[] = [
  same('api_keys', 'API keys and roles', '/v1/api-keys', '/v1/roles'),
  same('ephemeral_proxy', 'Ephemeral proxy', '/v1/proxy'),
  same('routes', 'Routes', '/v1/routes'),
  same('clients', 'Clients and their credentials', '/v1/clients'),
  same('environments', 'Environments', '/v1/environments'),
  same('secrets', 'Secrets', '/v1/secrets', '/v1/wrap', '/wg'),
  same('vaults', 'Vaults', '/v1/vaults'),
  same('crypto', 'Crypto keys', '/v1/crypto'),
  same('portable_encryption', 'Portable encryption', '/v1/encrypt', '/v1/decrypt', '/v1/inspect'),
  same('client_tokens', 'Client tokens', '/v1/client-tokens', '/v1/client'),
  same('certificates', 'Certificates', '/v1/pki', '/pki'),
  {
    ...same('dynamic_credentials', 'Dynamic database credentials', '/v1/dyn-db-credentials'),
    parity: 'differs',
    note: 'A server of one’s own reaches every database unless KNOX_DB_ALLOW_TARGETS says otherwise, a hosted one public addresses.',
  },
  same('tenant_kms', 'Tenant KMS', '/admin/tenant-kms'),
  {
    ...same('operator_kms', 'Operator’s KMS'),
    parity: 'self_hosted_only',
    note: 'The operator’s own key wraps the master keys of all tenants.',
    variable: 'KNOX_KMS_OPERATOR_PROVIDER',
  },
  same('oauth', 'OAuth 2.1 and DPoP', '/oauth', '/v1/oauth', '/v1/oauth-clients', '/.well-known'),
  same('workload_identity', 'Workload identity', '/v1/oidc-bindings'),
  same('redaction', 'Redaction rules', '/v1/redaction-rules'),
  {
    ...same('egress', 'Egress', '/v1/egress'),
    parity: 'differs',
    note: 'On a server of one’s own KNOX_ALLOW_PRIVATE_UPSTREAMS opens targets in one’s own network.',
  },
  same('webhooks', 'Webhooks', '/v1/webhooks', '/v1/inbound-webhooks', '/hooks'),
  same('workflows', 'Workflows', '/v1/workflows'),
  same('audit_logs', 'Audit log', '/v1/audit-logs'),
  same('request_logs', 'Request log', '/v1/logs'),
  same('analytics', 'Analytics', '/v1/analytics'),
  same('alerts', 'Alerts', '/admin/alerts'),
  same('agents', 'Agents', '/v1/agents', '/agent'),
  same('ai_gateway', 'AI gateway', '/v1/ai-gateway', '/v1/ai', '/v1/mcp'),
  same('sign_in', 'Sign-in', '/admin/auth', '/auth'),
  same('tenants', 'Tenants and team', '/admin/tenants', '/admin/team', '/admin/invitations'),
  {
    ...same('signup', 'Signup', '/v1/signup', '/auth/signup'),
    parity: 'differs',
    note: 'Off on a server of one’s own until KNOX_SIGNUP is on.',
    variable: 'KNOX_SIGNUP',
  },
  {
    ...same('account', 'Account and usage', '/v1/account'),
    parity: 'differs',
    note: 'The tenant of the first start has the plan enterprise without caps on a server of one’s own, free on a hosted one.',
  },
  {
    ...same('billing', 'Billing', '/admin/billing'),
    parity: 'cloud_only',
    note: 'Hidden on a server of one’s own; knox-server tenant set changes plans there.',
  },
  { ...same('referrals', 'Referrals'), parity: 'cloud_only', note: 'Hidden on a server of one’s own.' },
  {
    ...same('first_start', 'First start'),
    parity: 'self_hosted_only',
    note: 'Tenant, owner and keys are made by the server and written to KNOX_BOOTSTRAP_FILE.',
  },
  same('integrations', 'Integrations', '/admin/integrations'),
  same('collections', 'Collections', '/admin/collections'),
  same('deployment', 'Deployment and this matrix', '/admin/parity-audit', '/admin/deployment'),
  same('dashboard', 'Dashboard', '/app'),
  same('api_description', 'API description', '/openapi.json', '/docs'),
  same('monitoring', 'Health and metrics', '/healthz', '/readyz', '/metrics'),
];

function same(id: string, name: string, ...paths: string[]): Feature {
  return { id, name, paths, parity: 'same' };
}

/** Whose endpoint that is; the twin under `/admin` is its `/v1` handler's. */
export function featureOf(path: string, features: readonly Feature[] = FEATURES): Feature | undefined {
  const names = [path, path.replace(/^\/admin\//, '/v1/')];
  let found: { readonly feature: Feature; readonly length: number } | undefined;
  for (const feature of features) {
    for (const under of feature.paths) {
      const fits = names.some((name) => name === under || name.startsWith(`${under}/`));
      if (fits && under.length > (found?.length ?? 0)) found = { feature, length: under.length };
    }
  }
  return found?.feature;
}
