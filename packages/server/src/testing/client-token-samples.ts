import type { World } from './matrix-rig.js';
import type { Body, RouteSample } from './route-sample.js';

const ORIGIN = 'https://shop.example';
const DATA = { name: 'canary', year: 1815 };

let made = 0;
const newVault = async ({ create }: World) =>
  (await create('/v1/vaults', { name: `client-${++made}` })).name!;

async function sealed(world: World) {
  const { status, text, json } = await world.call('POST', '/v1/encrypt', { body: { data: DATA } });
  if (status !== 200) throw new Error(`POST /v1/encrypt: ${status} ${text}`);
  return (json['data'] ?? json)['ciphertext'] as Body;
}

const newToken = async ({ create }: World, body: object) =>
  (await create('/v1/client-tokens', body))['token']!;

/** Each is for one act, which its body says. */
export const CLIENT_TOKEN_SAMPLES: Readonly<Record<string, RouteSample>> = {
  'POST /v1/client-tokens': {
    bodies: async (world) => [
      { action: 'tokenize', vault: await newVault(world), origins: [ORIGIN], ttl_seconds: 60 },
      { action: 'detokenize', vault: await newVault(world), data: 'tok_x' },
      { action: 'decrypt', data: await sealed(world), role: 'pii' },
    ],
  },
  'POST /v1/client/decrypt': {
    bodies: async (world) => [{ data: await sealed(world), role: '' }],
    headers: async (world, body) => bearer(await newToken(world, { action: 'decrypt', data: body['data'] })),
  },
  'POST /v1/client/detokenize': {
    async bodies(world) {
      const vault = await newVault(world);
      return [
        { vault, token: (await world.create(`/v1/vaults/${vault}/tokens`, { value: 'canary' }))['token'] },
      ];
    },
    headers: async (world, { vault, token }) =>
      bearer(await newToken(world, { action: 'detokenize', vault, data: token })),
  },
  'POST /v1/client/tokenize': {
    async bodies(world) {
      await world.create('/v1/vaults', { name: `pan-${++made}`, token_format: 'pan' });
      const card = { value: '4242424242424242', card_exp_month: 12, card_exp_year: 2100 };
      return [{ vault: `pan-${made}`, ...card }];
    },
    headers: async (world, { vault }) => ({
      ...bearer(await newToken(world, { action: 'tokenize', vault, origins: [ORIGIN] })),
      origin: ORIGIN,
    }),
  },
};

function bearer(token: string) {
  return { authorization: `Bearer ${token}` };
}
