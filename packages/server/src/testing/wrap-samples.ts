import type { World } from './matrix-rig.js';
import type { RouteSample } from './route-sample.js';
import { SECRETS } from './secret-samples.js';

export const WRAP = '/v1/wrap';
const HOST = 'api.example.com';

let made = 0;
const credentialOf = () => ({
  provider: 'openai',
  name: `WRAPPED_${++made}`,
  value: `canary-of-wrap-${made}`,
  hosts: [HOST],
});

const newCredential = async ({ create }: World) =>
  (await create(`${WRAP}/credentials`, credentialOf()))['secret_id']!;

async function newToken(world: World, terms: object = {}): Promise<string> {
  return (await world.create(`${WRAP}/tokens`, { secret: await newCredential(world), ...terms })).id;
}

const OBSERVATION = {
  host: 'api.example.com',
  first_segment: 'v1',
  method: 'POST',
  header_name: 'authorization',
  count: 3,
  first_seen: '1970-01-01T00:00:00Z',
  last_seen: '2100-01-01T00:00:00Z',
};

export const WRAP_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${WRAP}/credentials`]: { bodies: () => [credentialOf()] },
  [`POST ${WRAP}/tokens`]: {
    bodies: async (world) => [
      {
        secret: await newCredential(world),
        host: HOST,
        ttl_seconds: 3600,
        label: 'ci',
        style: 'path',
      },
    ],
  },
  [`DELETE ${WRAP}/tokens/:id`]: { path: async (world) => `${WRAP}/tokens/${await newToken(world)}` },
  [`POST ${WRAP}/egress-observations`]: {
    bodies: () => [{ sdk: 'knoxcall-node/1.4.0', observations: [OBSERVATION] }],
  },
};

export const WRAP_KINDS = {
  [`${WRAP}/credentials`]: {
    make: async ({ create }: World, name: string) => ({
      list: `${SECRETS}?sort=created_at&order=desc`,
      id: (await create(`${WRAP}/credentials`, { ...credentialOf(), name }))['secret_id']!,
    }),
  },
  [`${WRAP}/tokens`]: {
    make: async (world: World, name: string) => ({
      list: `${WRAP}/tokens`,
      id: await newToken(world, { label: name }),
    }),
  },
};
