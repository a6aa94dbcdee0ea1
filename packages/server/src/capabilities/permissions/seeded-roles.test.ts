import { describe, expect, it } from 'vitest';
import { isUuid } from '../../kernel/ids.js';
import { decide } from './decision.js';
import { KEY_PERMISSIONS, USER_PERMISSIONS } from './names.js';
import { SEEDED_ROLES } from './seeded-roles.js';
import { decisionOfUser } from './service.js';

const words = (text: string) => text.trim().split(/\s+/).sort();
const verbsOf = (families: string, ...verbs: string[]) =>
  words(families).flatMap((family) => verbs.map((verb) => `${family}:${verb}`));

/** Written out here from contract README §2, apart from how the roles say it. */
const KEY_READS = verbsOf(
  `routes environments secrets wrap clients webhooks vaults crypto pki dyn-db agents workflows ai-gateway
   redaction-rules egress oidc-bindings oauth-clients api-keys roles account`,
  'read',
);
const LISTS = ['log:list', 'audit_log:list'];
const READ_ONLY = [...KEY_READS, ...LISTS];
const ROLES: Record<string, readonly string[]> = {
  'Key — Invoke': words(`proxy:invoke routes:invoke vaults:tokenize vaults:detokenize
    crypto:encrypt crypto:decrypt crypto:sign crypto:verify`),
  'Key — Read-only': READ_ONLY,
  'Key — Editor': [
    ...READ_ONLY,
    ...verbsOf('routes environments secrets wrap clients webhooks workflows vaults redaction-rules', 'write'),
    'workflows:execute',
    'agent:create',
  ],
  'Key — Infrastructure': [
    ...verbsOf('pki dyn-db crypto agents oauth-clients oidc-bindings egress', 'read', 'write'),
    ...words(`pki:issue pki:revoke dyn-db:mint dyn-db:revoke crypto:encrypt crypto:decrypt crypto:sign
      crypto:verify crypto:destroy agent:create`),
  ],
};
const USER_READS = [...KEY_READS, ...verbsOf('tenant team alerts', 'read')];
const DEVELOPER = [
  ...USER_READS,
  ...LISTS,
  ...verbsOf(
    `routes environments secrets wrap clients webhooks vaults crypto pki dyn-db agents workflows ai-gateway
     redaction-rules api-keys`,
    'write',
  ),
  ...words(`proxy:invoke routes:invoke vaults:tokenize vaults:detokenize crypto:encrypt crypto:decrypt crypto:sign
    crypto:verify pki:issue pki:revoke dyn-db:mint dyn-db:revoke agent:create workflows:execute ai-gateway:mint`),
];

describe('the seeded roles', () => {
  it('have fixed ids of their own and distinct names', () => {
    expect(SEEDED_ROLES).toHaveLength(8);
    expect(SEEDED_ROLES.every(({ id }) => isUuid(id))).toBe(true);
    expect(new Set(SEEDED_ROLES.map(({ id }) => id)).size).toBe(8);
    expect(new Set(SEEDED_ROLES.map(({ name }) => name)).size).toBe(8);
    // A changed id would take the role from every key that has it.
    expect(SEEDED_ROLES[0]?.id).toBe('8fa66298-61f6-4dfe-8688-c61f0913cf99');
  });

  it.each(Object.entries(ROLES))('%s holds exactly what the contract says', (name, expected) => {
    const role = SEEDED_ROLES.find((one) => one.name === name);
    expect(role?.appliesTo).toBe('api_key');
    const held = decide(role?.rules ?? [], KEY_PERMISSIONS).grants;
    expect(held.map(({ permission }) => permission).sort()).toEqual([...expected].sort());
    expect(held.every(({ resource }) => resource === null)).toBe(true);
  });

  it.each([
    ['owner', [...USER_PERMISSIONS]],
    ['admin', [...USER_PERMISSIONS].filter((name) => name !== 'tenant:delete')],
    ['developer', DEVELOPER],
    ['viewer', [...USER_READS, ...LISTS]],
  ] as const)('%s holds exactly what the contract says', (role, expected) => {
    const held = decisionOfUser(role).grants.map(({ permission }) => permission);
    expect(held.sort()).toEqual([...expected].sort());
  });
});

it('the list of permissions is that of contract README §2.1', () => {
  expect(KEY_PERMISSIONS.size).toBe(59);
  expect(USER_PERMISSIONS.size).toBe(70);
});
