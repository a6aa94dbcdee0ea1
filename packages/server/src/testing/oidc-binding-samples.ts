import { keyRole } from './api-key-samples.js';
import type { World } from './matrix-rig.js';
import { freshName, type Kind, type RouteSample } from './route-sample.js';

const OIDC = '/v1/oidc-bindings';
const bindingOf = (name = freshName()) => ({
  name,
  provider: 'github_actions',
  issuer: 'https://token.actions.githubusercontent.com',
  audiences: ['knoxcall:api'],
  subject: 'repo:acme/shop:ref:refs/heads/*',
  claims: { repository: 'acme/shop' },
  target: 'management',
  agent_id: null,
  ttl_seconds: 600,
  enabled: true,
});

const BINDING_SCOPES = { scopes: ['vaults:read'] };
const newBinding = async ({ create }: World) =>
  `${OIDC}/${(await create(OIDC, { ...bindingOf(), ...BINDING_SCOPES })).id}`;

export const OIDC_BINDING_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${OIDC}`]: {
    bodies: async (world) => [
      { ...bindingOf(), ...BINDING_SCOPES },
      { ...bindingOf(), role_ids: [await keyRole(world)] },
    ],
  },
  [`GET ${OIDC}/:id`]: { path: newBinding },
  [`PATCH ${OIDC}/:id`]: {
    path: newBinding,
    bodies: async (world) => [
      { ...bindingOf(), ...BINDING_SCOPES },
      { ...bindingOf(), role_ids: [await keyRole(world)] },
    ],
  },
  [`DELETE ${OIDC}/:id`]: { path: newBinding },
};

export const OIDC_BINDING_KINDS: Readonly<Record<string, Kind>> = {
  [OIDC]: {
    make: async ({ create }, name) => ({
      list: OIDC,
      id: (await create(OIDC, { ...bindingOf(name), ...BINDING_SCOPES })).id,
    }),
  },
};
