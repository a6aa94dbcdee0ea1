/** The names of contract README §2.1 that a key can hold: families with `read` and `write`, then action grants. */
const READ_WRITE_FAMILIES = [
  'routes',
  'environments',
  'secrets',
  'wrap',
  'clients',
  'webhooks',
  'vaults',
  'crypto',
  'pki',
  'dyn-db',
  'agents',
  'workflows',
  'ai-gateway',
  'redaction-rules',
  'egress',
  'oidc-bindings',
  'oauth-clients',
  'api-keys',
];

const FURTHER = [
  'proxy:invoke',
  'routes:invoke',
  'secrets:read_value',
  'vaults:tokenize',
  'vaults:detokenize',
  'crypto:encrypt',
  'crypto:decrypt',
  'crypto:sign',
  'crypto:verify',
  'crypto:destroy',
  'pki:issue',
  'pki:revoke',
  'dyn-db:mint',
  'dyn-db:revoke',
  'dyn-db:force',
  'agent:create',
  'workflows:execute',
  'ai-gateway:mint',
  'roles:read',
  'account:read',
  'log:list',
  'log:read_identity',
  'audit_log:list',
];

/** A key made without roles has full access, by name (contract README §2.2 [seed]). */
export const EVERY_KEY_PERMISSION: ReadonlySet<string> = new Set([
  ...READ_WRITE_FAMILIES.flatMap((family) => [`${family}:read`, `${family}:write`]),
  ...FURTHER,
]);
