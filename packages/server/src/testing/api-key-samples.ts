import type { World } from './matrix-rig.js';
import { freshName, type Kind, type RouteSample } from './route-sample.js';

const KEY_LIMIT = { rate_limit_requests: 10, rate_limit_window_sec: 60 };
const NARROWED = [{ permission: 'vaults:tokenize', resource: 'cards' }];
const newKey = async (world: World) =>
  `/v1/api-keys/${(await world.create('/v1/api-keys', { name: freshName() })).id}`;

export async function keyRole(world: World): Promise<string> {
  const { json } = await world.call('GET', '/v1/roles?subject_kind=api_key');
  return json['data'][0].id;
}

export const API_KEY_SAMPLES: Readonly<Record<string, RouteSample>> = {
  'POST /v1/api-keys': {
    bodies: async (world) => [
      { name: freshName(), role_ids: [await keyRole(world)], ...KEY_LIMIT },
      { name: freshName(), grants: NARROWED },
    ],
  },
  'POST /admin/api-keys': {
    bodies: async (world) => [
      { name: freshName(), role_ids: [await keyRole(world)], ...KEY_LIMIT },
      { name: freshName(), grants: NARROWED },
      {
        name: freshName(),
        key_type: 'access_key',
        scopes: ['vaults:read'],
        expires_at: '2030-01-01T00:00:00Z',
      },
    ],
  },
  'DELETE /v1/api-keys/:id': { path: newKey },
};

export const API_KEY_KINDS: Readonly<Record<string, Kind>> = {
  '/v1/api-keys': {
    make: async ({ create }, name) => ({
      list: '/v1/api-keys',
      id: (await create('/v1/api-keys', { name })).id,
    }),
  },
};
