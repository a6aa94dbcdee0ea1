import type { World } from './matrix-rig.js';
import { freshName, type Kind, type RouteSample } from './route-sample.js';

const VAULT = { description: 'd', metadata_jsonb: { a: 1 }, echo_guard: true, default_ttl_seconds: 3600 };
const TOKEN_OPTIONS = { metadata: { a: 1 }, ttl_seconds: 60, card_exp_month: null, card_exp_year: null };
const newVault = async ({ create }: World) => `/v1/vaults/${(await create('/v1/vaults', vaultOf())).name}`;
const newToken = async (world: World) => {
  const tokens = `${await newVault(world)}/tokens`;
  return `${tokens}/${(await world.create(tokens, { value: 'canary' })).token}`;
};

export const vaultOf = (name = freshName()) => ({
  name,
  token_format: 'generic',
  custody_mode: 'managed',
  ...VAULT,
});

export const VAULT_SAMPLES: Readonly<Record<string, RouteSample>> = {
  'POST /v1/vaults': { bodies: () => [vaultOf()] },
  'GET /v1/vaults/:nameOrId': { path: newVault },
  'PATCH /v1/vaults/:nameOrId': { path: newVault, bodies: () => [{ ...VAULT, enabled: true }] },
  'DELETE /v1/vaults/:nameOrId': { path: newVault },
  'POST /v1/vaults/:nameOrId/rotate': {
    path: async (world) => `${await newVault(world)}/rotate`,
    bodies: () => [{}],
  },
  'GET /v1/vaults/:nameOrId/tokens': { path: async (world) => `${await newVault(world)}/tokens` },
  'POST /v1/vaults/:nameOrId/tokens': {
    path: async (world) => `${await newVault(world)}/tokens`,
    bodies: () => [{ value: 'canary', ...TOKEN_OPTIONS }],
  },
  'POST /v1/vaults/:nameOrId/tokens/bulk': {
    path: async (world) => `${await newVault(world)}/tokens/bulk`,
    bodies: () => [{ values: [{ value: 'canary', ...TOKEN_OPTIONS }] }],
  },
  'GET /v1/vaults/:nameOrId/tokens/:idOrToken': { path: newToken },
  'PATCH /v1/vaults/:nameOrId/tokens/:idOrToken': { path: newToken, bodies: () => [{ metadata: { a: 1 } }] },
  'DELETE /v1/vaults/:nameOrId/tokens/:idOrToken': { path: newToken },
};

export const VAULT_KINDS: Readonly<Record<string, Kind>> = {
  '/v1/vaults': {
    make: async ({ create }, name) => ({
      list: '/v1/vaults',
      id: (await create('/v1/vaults', vaultOf(name))).id,
    }),
  },
  '/v1/vaults/:nameOrId/tokens': {
    async make({ create }, name) {
      await create('/v1/vaults', vaultOf(name));
      const list = `/v1/vaults/${name}/tokens`;
      return { list, id: (await create(list, { value: 'canary' })).id };
    },
  },
  '/v1/vaults/:nameOrId/tokens/bulk': {
    async make({ create }, name) {
      await create('/v1/vaults', vaultOf(name));
      const list = `/v1/vaults/${name}/tokens`;
      const { tokens } = await create(`${list}/bulk`, { values: [{ value: 'canary' }] });
      return { list, id: (tokens as unknown as { id: string }[])[0]!.id };
    },
  },
};
