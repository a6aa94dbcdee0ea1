import type { World } from './matrix-rig.js';
import { newPasswordSecret } from './oauth2-samples.js';
import type { RouteSample } from './route-sample.js';
import { createTestCa } from './tls-upstream.js';

export const ENVIRONMENTS = '/v1/environments';

let made = 0;
const TERMS = {
  display_name: 'Staging',
  description: 'd',
  color: '#abcdef',
  is_default: false,
  variables: { REGION: 'eu' },
};
const environmentOf = () => ({ name: `stage-${++made}`, ...TERMS });

export const newEnvironment = async (world: World) =>
  `${ENVIRONMENTS}/${(await world.create(ENVIRONMENTS, environmentOf())).id}`;

export const SECRETS = '/v1/secrets';
/** Lists are by name unless they are asked for otherwise, and a page may be full of others. */
const NEWEST = `${SECRETS}?sort=created_at&order=desc`;
const ca = await createTestCa();
const { certPem, keyPem } = await ca.issue(['upstream.example.com']);
const FILE = {
  certificate_content: certPem,
  private_key: keyPem,
  passphrase: 'not needed',
  certificate_type: 'crt',
};
const SECRET_TERMS = {
  description: 'd',
  collection_id: null,
  expires_at: '2030-01-01T00:00:00Z',
  strict_expiry_enforcement: true,
};
const secretOf = () => ({ name: `SECRET_${++made}`, value: `canary of secret ${made}` });
const BOUND = { allowed_hosts: ['api.example.com', '*.example.org'] };

const newSecret = async (world: World) => `${SECRETS}/${(await world.create(SECRETS, secretOf())).id}`;

export async function newCertificate(world: World): Promise<string> {
  const body = { name: `CERTIFICATE_${++made}`, ...FILE };
  return `${SECRETS}/${(await world.create(`${SECRETS}/certificate`, body)).id}`;
}

export const SECRET_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${ENVIRONMENTS}`]: { bodies: () => [environmentOf()] },
  [`PATCH ${ENVIRONMENTS}/:id`]: { path: newEnvironment, bodies: () => [environmentOf()] },
  [`DELETE ${ENVIRONMENTS}/:id`]: { path: newEnvironment },
  [`POST ${SECRETS}`]: {
    bodies: () => [
      { ...secretOf(), ...SECRET_TERMS, ...BOUND, secret_type: 'string', environment: 'production' },
      { ...secretOf(), hosts: null },
    ],
  },
  [`POST ${SECRETS}/certificate`]: {
    bodies: () => [{ name: `CERTIFICATE_${++made}`, ...FILE, ...SECRET_TERMS, environment: 'production' }],
  },
  [`GET ${SECRETS}/:id`]: { path: newSecret },
  [`PATCH ${SECRETS}/:id`]: {
    path: newSecret,
    pathFor: (world, body) => ('token_url' in body ? newPasswordSecret(world) : newSecret(world)),
    bodies: () => [
      { name: `RENAMED_${++made}`, ...SECRET_TERMS, ...BOUND, value: 'next' },
      { hosts: ['api.example.net'], values: { production: 'next' } },
      { token_url: 'https://moved.example.com/token', client_secret: 'next', password: 'next' },
    ],
  },
  [`DELETE ${SECRETS}/:id`]: { path: newSecret },
  [`PUT ${SECRETS}/:id/value`]: {
    path: async (world) => `${await newSecret(world)}/value`,
    bodies: () => [{ value: 'next', environment: 'production', expires_at_override: null }],
  },
  [`PUT ${SECRETS}/:id/certificate`]: {
    path: async (world) => `${await newCertificate(world)}/certificate`,
    bodies: () => [{ ...FILE, environment: 'production', expires_at: null }],
  },
  ['GET /admin/secrets/:id/value']: {
    path: async (world) =>
      `${(await newSecret(world)).replace('/v1/', '/admin/')}/value?environment=production`,
  },
};

export const SECRET_KINDS = {
  [SECRETS]: {
    make: async ({ create }: World, name: string) => ({
      list: NEWEST,
      id: (await create(SECRETS, { name, value: 'canary' })).id,
    }),
  },
  [`${SECRETS}/certificate`]: {
    make: async ({ create }: World, name: string) => ({
      list: NEWEST,
      id: (await create(`${SECRETS}/certificate`, { name, ...FILE })).id,
    }),
  },
  [ENVIRONMENTS]: {
    make: async ({ create }: World, name: string) => ({
      list: ENVIRONMENTS,
      id: (await create(ENVIRONMENTS, { name })).id,
    }),
  },
};
