import type { World } from './matrix-rig.js';
import { type Body, freshName, type Kind, type RouteSample, UNKNOWN } from './route-sample.js';

const CLIENTS = '/v1/clients';
const CLIENT_FIELDS = {
  type: 'server',
  ip_address: '203.0.113.0/24',
  ip_notes: { site: 'a' },
  description: 'd',
};

const newCaller = async ({ create }: World, more: Body = {}) =>
  `${CLIENTS}/${(await create(CLIENTS, { name: freshName(), ...more })).id}`;

const withSecret = async ({ create }: World) => ({
  signing_secret_id: (await create('/v1/secrets', { name: freshName(), value: 'canary' })).id,
});

let thumbprints = 0;
/** A thumbprint that no other credential has. */
const freshThumbprint = () => (++thumbprints).toString(16).padStart(64, '0');

const newCallerCredential = async (world: World) => {
  const credentials = `${await newCaller(world)}/credentials`;
  const body = { kind: 'mtls_thumbprint', data: { sha256_thumbprint: freshThumbprint() } };
  return `${credentials}/${(await world.create(credentials, body)).id}`;
};

/** The first certificate makes it, with an audit row of its own. */
async function makeClientRoot({ installation, tenant, mode }: World): Promise<void> {
  const scope = { tenantId: tenant.id, sandbox: mode === 'test' };
  await installation.services.clientCa.prepare(scope, { id: UNKNOWN, name: freshName() });
}

export const CLIENT_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${CLIENTS}`]: {
    bodies: async (world) => [{ name: freshName(), ...CLIENT_FIELDS, ...(await withSecret(world)) }],
  },
  [`GET ${CLIENTS}/match`]: {
    async path(world) {
      await newCaller(world, { ip_address: '127.0.0.1' });
      return `${CLIENTS}/match`;
    },
  },
  [`GET ${CLIENTS}/:id`]: { path: newCaller },
  [`PATCH ${CLIENTS}/:id`]: {
    path: newCaller,
    bodies: async (world) => [
      {
        name: freshName(),
        ...CLIENT_FIELDS,
        ...(await withSecret(world)),
        enabled: false,
        collection_id: UNKNOWN,
      },
    ],
  },
  [`DELETE ${CLIENTS}/:id`]: { path: newCaller },
  [`GET ${CLIENTS}/:id/credentials`]: { path: async (world) => `${await newCaller(world)}/credentials` },
  [`POST ${CLIENTS}/:id/credentials`]: {
    path: async (world) => `${await newCaller(world)}/credentials`,
    async bodies(world) {
      await makeClientRoot(world);
      return [
        { kind: 'ip', label: 'office', data: { value: '203.0.113.0/24' } },
        { kind: 'mtls_thumbprint', label: null, data: { sha256_thumbprint: freshThumbprint() } },
        { kind: 'mtls_thumbprint', label: 'laptop', data: { mode: 'issue' } },
      ];
    },
  },
  [`PATCH ${CLIENTS}/:id/credentials/:credId`]: {
    path: newCallerCredential,
    bodies: () => [{ enabled: false, label: 'old' }],
  },
  [`DELETE ${CLIENTS}/:id/credentials/:credId`]: { path: newCallerCredential },
};

export const CLIENT_KINDS: Readonly<Record<string, Kind>> = {
  [CLIENTS]: {
    make: async ({ create }, name) => ({ list: CLIENTS, id: (await create(CLIENTS, { name })).id }),
  },
  [`${CLIENTS}/:id/credentials`]: {
    async make({ create }, name) {
      const { id } = await create(CLIENTS, { name });
      const list = `${CLIENTS}/${id}/credentials`;
      return { list, id: (await create(list, { kind: 'ip', data: { value: '203.0.113.7' } })).id };
    },
  },
};
