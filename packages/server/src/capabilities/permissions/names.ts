/** The one list of permissions (contract README §2.1), each `<family>:<verb>`. */
const READ_WRITE = ['read', 'write'] as const;

const KEY_VERBS = {
  proxy: ['invoke'],
  routes: [...READ_WRITE, 'invoke'],
  environments: READ_WRITE,
  secrets: [...READ_WRITE, 'read_value'],
  wrap: READ_WRITE,
  clients: READ_WRITE,
  webhooks: READ_WRITE,
  vaults: [...READ_WRITE, 'tokenize', 'detokenize'],
  crypto: [...READ_WRITE, 'encrypt', 'decrypt', 'sign', 'verify', 'destroy'],
  pki: [...READ_WRITE, 'issue', 'revoke'],
  'dyn-db': [...READ_WRITE, 'mint', 'revoke', 'force'],
  agents: READ_WRITE,
  agent: ['create'],
  workflows: [...READ_WRITE, 'execute'],
  'ai-gateway': [...READ_WRITE, 'mint'],
  'redaction-rules': READ_WRITE,
  egress: READ_WRITE,
  'oidc-bindings': READ_WRITE,
  'oauth-clients': READ_WRITE,
  'api-keys': READ_WRITE,
  roles: ['read'],
  account: ['read'],
  log: ['list', 'read_identity'],
  audit_log: ['list'],
} as const;

/** For users of the dashboard alone: never on a key or token. */
const DASHBOARD_VERBS = {
  tenant: [...READ_WRITE, 'delete'],
  team: READ_WRITE,
  billing: READ_WRITE,
  alerts: READ_WRITE,
  'tenant-kms': READ_WRITE,
} as const;

type VerbsOf<Families extends Record<string, readonly string[]>> = {
  readonly [Family in keyof Families]: Families[Family][number];
};
/** The verbs by family, so that a rule written here cannot name what is not there. */
export type Verbs = VerbsOf<typeof KEY_VERBS> & VerbsOf<typeof DASHBOARD_VERBS>;

export const KEY_PERMISSIONS: ReadonlySet<string> = namesOf(KEY_VERBS);

export const USER_PERMISSIONS: ReadonlySet<string> = new Set([
  ...KEY_PERMISSIONS,
  ...namesOf(DASHBOARD_VERBS),
]);

const VAULT = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const CONNECTION_OR_ROLE = /^[^/\s]{1,63}(\/[^/\s]{1,63})?$/;

/** Those that a rule may narrow to one resource (`(v)` in README §2.1), with the form of its name. */
export const NARROWABLE: ReadonlyMap<string, RegExp> = new Map([
  ['vaults:tokenize', VAULT],
  ['vaults:detokenize', VAULT],
  ['dyn-db:mint', CONNECTION_OR_ROLE],
]);

/** No wildcard gives it, not even the widest: it has to be named (README §2.1). */
export const NAMED_ONLY = 'agent:create';

function namesOf(families: Record<string, readonly string[]>): Set<string> {
  return new Set(
    Object.entries(families).flatMap(([family, verbs]) => verbs.map((verb) => `${family}:${verb}`)),
  );
}
