import type { World } from './matrix-rig.js';
import { askOAuth, basicOfKey } from './oauth-calls.js';
import { freshName, type Kind, type RouteSample } from './route-sample.js';

const CODE_CLIENT = {
  grant_types: ['authorization_code', 'refresh_token'],
  redirect_uris: ['https://app.example.com/callback', 'http://127.0.0.1/callback'],
};

const CLIENT_TERMS = {
  allowed_scopes: ['vaults:read', 'log:list'],
  redirect_uris: ['https://app.example.com/callback'],
  require_dpop: false,
  require_dpop_nonce: false,
  require_pkce: true,
  token_format: 'opaque',
  refresh_grace_seconds: 10,
  consent_html_template: '<p>Hello</p>',
  step_up_scopes: ['log:list'],
};

const clientOf = (name = freshName()) => ({
  name,
  type: 'confidential',
  grant_types: ['client_credentials'],
  ...CLIENT_TERMS,
});

const newClient = async ({ create }: World) =>
  `/v1/oauth-clients/${(await create('/v1/oauth-clients', clientOf())).id}`;

function askAsKey({ installation, tenant, mode }: World, path: string, form: Record<string, string>) {
  const authorization = basicOfKey(tenant[mode].apiKey);
  return askOAuth(installation.call, path, { authorization, form });
}

async function accessToken(world: World): Promise<string> {
  const { json } = await askAsKey(world, '/oauth/token', { grant_type: 'client_credentials' });
  return json['access_token'];
}

export const OAUTH_SAMPLES: Readonly<Record<string, RouteSample>> = {
  'POST /v1/oauth-clients': {
    bodies: () => [clientOf(), { name: freshName(), type: 'public', ...CODE_CLIENT }],
  },
  'GET /v1/oauth-clients/:id': { path: newClient },
  'PATCH /v1/oauth-clients/:id': {
    path: newClient,
    bodies: () => [{ ...CLIENT_TERMS, name: freshName(), active: true }],
  },
  'POST /v1/oauth-clients/:id/rotate-secret': {
    path: async (world) => `${await newClient(world)}/rotate-secret`,
  },
  'DELETE /v1/oauth-clients/:id': { path: newClient },
  'POST /v1/oauth/explain': {
    bodies: async (world) => [
      { token: await accessToken(world), dpop_proof: 'p', method: 'GET', url: 'https://api.example.com/v1' },
    ],
  },
  'GET /v1/oauth/tokens/:id/lineage': {
    async path(world) {
      const { json } = await askAsKey(world, '/oauth/introspect', { token: await accessToken(world) });
      return `/v1/oauth/tokens/${json['jti']}/lineage`;
    },
  },
};

export const OAUTH_KINDS: Readonly<Record<string, Kind>> = {
  '/v1/oauth-clients': {
    make: async ({ create }, name) => ({
      list: '/v1/oauth-clients',
      id: (await create('/v1/oauth-clients', clientOf(name))).id,
    }),
  },
};
