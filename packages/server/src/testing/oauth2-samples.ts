import { callInProcess } from './calls.js';
import type { World } from './matrix-rig.js';
import type { RouteSample } from './route-sample.js';

const SECRETS = '/v1/secrets';
export const OAUTH2_SECRETS = `${SECRETS}/oauth2`;

let made = 0;
const codeSecret = () => ({
  // Behind the names of others, whose lists begin with theirs.
  name: `zz_OAUTH2_${++made}`,
  provider: 'custom',
  client_id: 'client',
  client_secret: 'canary',
  auth_url: 'https://idp.example.com/authorize',
  token_url: 'https://idp.example.com/token',
});
const TERMS = {
  description: 'd',
  environment: 'production',
  collection_id: null,
  expires_at: '2030-01-01T00:00:00Z',
  strict_expiry_enforcement: true,
  allowed_hosts: ['api.example.com'],
};

const newOAuth2 = async (world: World) =>
  `${SECRETS}/${(await world.create(OAUTH2_SECRETS, codeSecret())).id}`;

/** By the implicit grant, whose token the browser brings: nobody is asked. */
async function newConnected(world: World): Promise<string> {
  const body = { ...codeSecret(), client_secret: null, token_url: null, grant_type: 'implicit' };
  const { id } = await world.create(OAUTH2_SECRETS, body);
  const begun = await world.create(`${SECRETS}/${id}/oauth2/connect`, {});
  const state = new URL(begun['authorization_url']!).searchParams.get('state')!;
  const payload = new URLSearchParams({ state, access_token: 'canary', expires_in: '3600' }).toString();
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const path = `/auth/oauth2/callback/${id}`;
  const { status, text } = await callInProcess(world.installation.app, 'POST', path, { payload, headers });
  if (status !== 200) throw new Error(`${path}: ${status} ${text}`);
  return `${SECRETS}/${id}`;
}

/** Nobody answers at its token URL, which the job finds out. */
export async function newPasswordSecret(world: World): Promise<string> {
  const body = { ...codeSecret(), grant_type: 'password', username: 'user', password: 'canary' };
  return `${SECRETS}/${(await world.create(OAUTH2_SECRETS, body)).id}`;
}

export const OAUTH2_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${OAUTH2_SECRETS}`]: {
    bodies: () => [
      {
        ...codeSecret(),
        ...TERMS,
        secret_type: 'oauth2',
        grant_type: 'authorization_code',
        scopes: ['read'],
        username: null,
        password: null,
        mtls_certificate_id: null,
      },
      { ...codeSecret(), hosts: null },
    ],
  },
  [`POST ${SECRETS}/:id/oauth2/connect`]: {
    path: async (world) => `${await newOAuth2(world)}/oauth2/connect`,
    bodies: () => [{ environment: 'production' }],
  },
  [`GET ${SECRETS}/:id/oauth2/token`]: {
    path: async (world) => `${await newConnected(world)}/oauth2/token?environment=production`,
  },
};

export const OAUTH2_KINDS = {
  [OAUTH2_SECRETS]: {
    make: async ({ create }: World, name: string) => ({
      list: `${SECRETS}?per_page=100&sort=created_at&order=desc`,
      id: (await create(OAUTH2_SECRETS, { ...codeSecret(), name })).id,
    }),
  },
};
