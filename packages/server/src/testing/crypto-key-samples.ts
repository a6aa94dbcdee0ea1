import type { World } from './matrix-rig.js';
import type { RouteSample } from './route-sample.js';

const KEYS = '/v1/crypto/keys';
/** README of crypto-keys. */
const ROTATION_KNOWN_MS = 1_000;

let made = 0;

/** By its id, which no other mode has. */
export async function newNamedKey(world: World, keyType = 'aes256-gcm'): Promise<string> {
  const body = { name: `key ${++made}`, key_type: keyType, mode: 'cloud-only', description: 'd' };
  return `${KEYS}/${(await world.create(KEYS, body)).id}`;
}

/** With a first version that was retired long enough ago to be destroyed. */
async function newRotatedKey(world: World): Promise<string> {
  const key = await newNamedKey(world);
  await world.call('POST', `${key}/rotate`, { body: {} });
  world.installation.clock.advance(ROTATION_KNOWN_MS);
  return key;
}

/** One for all calls of a tenant and mode that take what it has encrypted. */
async function cipherKey(world: World): Promise<string> {
  const name = 'ciphers';
  const known = await world.call('GET', `${KEYS}/${name}`);
  const { id } =
    known.status === 200 ? (known.json['data'] ?? known.json) : await world.create(KEYS, { name });
  return `${KEYS}/${id}`;
}

async function someCiphertext(world: World): Promise<string> {
  const { json } = await world.call('POST', `${await cipherKey(world)}/encrypt`, {
    body: { plaintext: 'canary' },
  });
  return (json['data'] ?? json)['ciphertext'];
}

export const CRYPTO_KEY_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${KEYS}`]: {
    bodies: () => [{ name: `key ${++made}`, key_type: 'ed25519', mode: 'bundled', description: null }],
  },
  [`GET ${KEYS}/:name`]: { path: newNamedKey },
  [`PATCH ${KEYS}/:name`]: { path: newNamedKey, bodies: () => [{ deletion_allowed: true }] },
  [`POST ${KEYS}/:name/rotate`]: {
    path: async (world) => `${await newNamedKey(world)}/rotate`,
    bodies: () => [{}],
  },
  [`GET ${KEYS}/:name/public-key`]: {
    path: async (world) => `${await newNamedKey(world, 'ecdsa-p256')}/public-key?version=1`,
  },
  [`DELETE ${KEYS}/:name/versions/:n`]: {
    async path(world) {
      const key = await newRotatedKey(world);
      await world.call('PATCH', key, { body: { deletion_allowed: true } });
      return `${key}/versions/1`;
    },
  },
  [`POST ${KEYS}/:name/encrypt`]: {
    path: async (world) => `${await newNamedKey(world)}/encrypt`,
    bodies: () => [
      { plaintext: 'canary' },
      { plaintext_b64: 'Y2FuYXJ5' },
      { batch: [{ plaintext: 'canary' }] },
      { batch: [{ plaintext_b64: 'Y2FuYXJ5' }] },
    ],
  },
  [`POST ${KEYS}/:name/decrypt`]: {
    path: async (world) => `${await cipherKey(world)}/decrypt?format=utf8`,
    async bodies(world) {
      const ciphertext = await someCiphertext(world);
      return [{ ciphertext }, { batch: [{ ciphertext }] }];
    },
  },
  [`POST ${KEYS}/:name/rewrap`]: {
    path: async (world) => `${await cipherKey(world)}/rewrap`,
    bodies: async (world) => [{ ciphertext: await someCiphertext(world) }],
  },
};

export const CRYPTO_KEY_KINDS = {
  [KEYS]: {
    make: async ({ create }: World, name: string) => ({ list: KEYS, id: (await create(KEYS, { name })).id }),
  },
};
