import type { UserRole } from '../../kernel/principal.js';
import type { Rule } from './decision.js';
import type { Verbs } from './names.js';

export type SubjectKind = 'user' | 'api_key';

export interface SeededRole {
  /** The same in every installation, so that scripts may name it. */
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly appliesTo: SubjectKind;
  readonly rules: readonly Rule[];
}

const readEverything = allow('*', 'read');
const lists = [allow('log', 'list'), allow('audit_log', 'list')];

/** Contract README §2.2. */
const KEY_ROLES: readonly SeededRole[] = [
  {
    id: '8fa66298-61f6-4dfe-8688-c61f0913cf99',
    name: 'Key — Invoke',
    description: 'Calls through the proxy and routes, vault values and cryptography; manages nothing.',
    appliesTo: 'api_key',
    rules: [
      allow('proxy', 'invoke'),
      allow('routes', 'invoke'),
      allow('vaults', 'tokenize', 'detokenize'),
      allow('crypto', 'encrypt', 'decrypt', 'sign', 'verify'),
    ],
  },
  {
    id: 'e794bdab-daa8-4034-98a5-9ec335c311d1',
    name: 'Key — Read-only',
    description: 'Reads every configuration and the logs; shows no plaintext and no identity.',
    appliesTo: 'api_key',
    rules: [readEverything, ...lists],
  },
  {
    id: 'e9745243-5016-44e9-aabe-0f433550ef61',
    name: 'Key — Editor',
    description: 'Read-only, and changes what traffic goes through; runs workflows and creates agents.',
    appliesTo: 'api_key',
    rules: [
      readEverything,
      ...lists,
      ...writeOf(
        'routes',
        'environments',
        'secrets',
        'wrap',
        'clients',
        'webhooks',
        'workflows',
        'vaults',
        'redaction-rules',
      ),
      allow('workflows', 'execute'),
      allow('agent', 'create'),
    ],
  },
  {
    id: '72a90925-ae65-4a73-8827-06e208289058',
    name: 'Key — Infrastructure',
    description: 'Certificates, database credentials, crypto keys, agents, OAuth clients and egress.',
    appliesTo: 'api_key',
    rules: [
      allow('pki', 'read', 'write', 'issue', 'revoke'),
      allow('dyn-db', 'read', 'write', 'mint', 'revoke'),
      allow('crypto', 'read', 'write', 'encrypt', 'decrypt', 'sign', 'verify', 'destroy'),
      allow('agents', 'read', 'write'),
      allow('agent', 'create'),
      allow('oauth-clients', 'read', 'write'),
      allow('oidc-bindings', 'read', 'write'),
      allow('egress', 'read', 'write'),
    ],
  },
];

const readButBilling = [readEverything, deny('billing', 'read'), deny('tenant-kms', 'read'), ...lists];

/** Contract README §2.3. */
export const SEEDED_USER_ROLES: Readonly<Record<UserRole, SeededRole>> = {
  owner: {
    id: 'aa58ff87-98f7-4149-ac04-3e0337a1225f',
    name: 'Owner',
    description: 'Everything, deleting the tenant included.',
    appliesTo: 'user',
    rules: [allow('*', '*'), allow('agent', 'create')],
  },
  admin: {
    id: 'bef347e1-6f49-460b-8bb3-03ef2e4e61ad',
    name: 'Admin',
    description: 'Everything but deleting the tenant.',
    appliesTo: 'user',
    rules: [allow('*', '*'), allow('agent', 'create'), deny('tenant', 'delete')],
  },
  developer: {
    id: 'fdcc61d0-b787-4129-b665-7679e4d74fe2',
    name: 'Developer',
    description: 'Builds with every resource; no members, billing, tenant settings, egress or OAuth clients.',
    appliesTo: 'user',
    rules: [
      ...readButBilling,
      ...writeOf(
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
        'api-keys',
      ),
      allow('proxy', 'invoke'),
      allow('routes', 'invoke'),
      allow('vaults', 'tokenize', 'detokenize'),
      allow('crypto', 'encrypt', 'decrypt', 'sign', 'verify'),
      allow('pki', 'issue', 'revoke'),
      allow('dyn-db', 'mint', 'revoke'),
      allow('agent', 'create'),
      allow('workflows', 'execute'),
      allow('ai-gateway', 'mint'),
    ],
  },
  viewer: {
    id: 'b0a162c0-70a8-490f-8764-e03935ce3dd5',
    name: 'Viewer',
    description: 'Reads every configuration and the logs, but neither billing nor the tenant KMS.',
    appliesTo: 'user',
    rules: readButBilling,
  },
};

export const SEEDED_ROLES: readonly SeededRole[] = [...KEY_ROLES, ...Object.values(SEEDED_USER_ROLES)];

const keyRoles = new Map(KEY_ROLES.map((role) => [role.id, role]));

/** The only roles that a key may be given (auth.md §1.3). */
export function seededKeyRole(id: string): SeededRole | undefined {
  return keyRoles.get(id);
}

function allow<Family extends keyof Verbs>(family: Family, ...actions: Verbs[Family][]): Rule;
function allow(family: '*', action: '*' | 'read'): Rule;
function allow(resourceType: string, ...actions: string[]): Rule {
  return { resourceType, actions, effect: 'allow', resource: null };
}

function deny<Family extends keyof Verbs>(family: Family, ...actions: Verbs[Family][]): Rule {
  return { resourceType: family, actions, effect: 'deny', resource: null };
}

type WritableFamily = {
  [Family in keyof Verbs]: 'write' extends Verbs[Family] ? Family : never;
}[keyof Verbs];

function writeOf(...families: WritableFamily[]): Rule[] {
  return families.map((family) => allow(family, 'write'));
}
