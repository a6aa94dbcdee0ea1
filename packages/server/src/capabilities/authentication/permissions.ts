import type { UserRole } from '../../kernel/principal.js';

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

const DASHBOARD_ONLY = [
  ...['tenant', 'team', 'billing', 'alerts', 'tenant-kms'].flatMap((family) => [
    `${family}:read`,
    `${family}:write`,
  ]),
  'tenant:delete',
];
const EVERY_PERMISSION = [...EVERY_KEY_PERMISSION, ...DASHBOARD_ONLY];

const READS = EVERY_PERMISSION.filter(
  (name) => name.endsWith(':read') && name !== 'billing:read' && name !== 'tenant-kms:read',
).concat('log:list', 'audit_log:list');

const WITHHELD_FROM_DEVELOPERS = new Set([
  ...DASHBOARD_ONLY,
  'oauth-clients:write',
  'oidc-bindings:write',
  'egress:write',
  'dyn-db:force',
  'crypto:destroy',
  'log:read_identity',
  // Per secret, which nothing can say yet.
  'secrets:read_value',
]);

/** Contract README §2.3. */
const USER_GRANTS: Readonly<Record<UserRole, ReadonlySet<string>>> = {
  owner: new Set(EVERY_PERMISSION),
  admin: new Set(EVERY_PERMISSION.filter((name) => name !== 'tenant:delete')),
  developer: new Set([...READS, ...EVERY_PERMISSION.filter((name) => !WITHHELD_FROM_DEVELOPERS.has(name))]),
  viewer: new Set(READS),
};

export function decisionOfUser(role: UserRole) {
  const held = USER_GRANTS[role];
  return { names: [...held], may: (permission: string) => held.has(permission) };
}
