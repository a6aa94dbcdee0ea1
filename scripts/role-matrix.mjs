// Who may call what: every endpoint of both mounts against every role, docs/role-matrix.md. Each cell is tried over HTTP by
// packages/server/src/app/apis/role-matrix.test.ts.
import {
  decisionOf,
  decisionOfUser,
  KEY_PERMISSIONS,
  SEEDED_ROLES,
} from '../packages/server/src/capabilities/permissions/index.ts';
import { USER_ROLES } from '../packages/server/src/kernel/principal.ts';
import { mountedRoutes } from '../packages/server/src/platform/http/mounts.ts';

/** These ask for no permission before the row is known; then they judge by this one. */
const BY_ROW = {
  'PATCH /admin/tenants/:id': 'tenant:write',
  'POST /v1/client-tokens': 'crypto:decrypt',
  'POST /admin/client-tokens': 'crypto:decrypt',
};

const USERS = USER_ROLES.map((role) => ({ name: roleName(role), may: decisionOfUser(role).may }));
const KEYS = [
  { name: 'Key', may: (permission) => KEY_PERMISSIONS.has(permission) },
  ...SEEDED_ROLES.filter(({ appliesTo }) => appliesTo === 'api_key').map((role) => ({
    name: role.name.replace('Key — ', ''),
    may: decisionOf(role).may,
  })),
  { name: '`[]`', may: () => false },
];

function roleName(role) {
  return role[0].toUpperCase() + role.slice(1);
}

function permissionOf({ definition, path }) {
  const { method, permission } = definition;
  const judged = BY_ROW[`${method} ${path}`];
  if (permission === null && method !== 'GET' && judged === undefined)
    throw new Error(
      `${method} ${path} changes something and asks for no permission: name the one it judges by`,
    );
  return judged ?? permission;
}

export function roleMatrix(note, definitions) {
  const row = (cells) => `| ${cells.join(' | ')} |`;
  const places = [
    ...mountedRoutes(definitions),
    { mount: 'v1', path: '/v1/proxy', definition: { method: 'any', permission: 'proxy:invoke' } },
  ];
  const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
  places.sort(
    (one, other) => compare(one.path, other.path) || compare(one.definition.method, other.definition.method),
  );
  const accessOf = ({ definition: { access = 'tenant' } }) => access;
  const table = (mount, roles) =>
    places
      .filter((place) => place.mount === mount && accessOf(place) === 'tenant')
      .map((place) => {
        const permission = permissionOf(place);
        const cells = roles.map(({ may }) => (permission === null || may(permission) ? '✓' : ''));
        return row([place.definition.method, `\`${place.path}\``, ...cells]);
      });
  const listed = (access) =>
    places
      .filter((place) => accessOf(place) === access)
      .map(({ definition, path }) => `- ${definition.method} \`${path}\``);
  const head = (roles) => [
    row(['Method', 'Path', ...roles.map(({ name }) => name)]),
    row(['---', '---', ...roles.map(() => ':-:')]),
  ];
  return `# Roles and endpoints

${note}

✓ = the call is let through to its row and its rules; empty = 403 \`forbidden\`, which names the missing permission. What each
endpoint asks for, and what each role holds: [permissions.md](permissions.md).

## Signed-in users

${[...head(USERS), ...table('admin', USERS)].join('\n')}

Of \`PATCH /admin/tenants/:id\` the own tenant is meant: another one is 404 to all but the operator. Of \`client-tokens\`, here and
below, a token to decrypt: each asks for the permission of its act.

Every signed-in user, whatever the role:

${listed('session').join('\n')}

## API keys

*Key* is one made without roles by whoever holds everything, \`[]\` one made with none; the others have one role each. An OAuth
token has what its scope and its source have in common.

${[...head(KEYS), ...table('v1', KEYS)].join('\n')}

## Without a role

Callers of these are not signed in; each asks for a password, a token or nothing:

${listed('public').join('\n')}

Who holds a client token, which is good for one of them once:

${listed('capability').join('\n')}
`;
}
