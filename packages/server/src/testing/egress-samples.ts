import type { World } from './matrix-rig.js';
import type { RouteSample } from './route-sample.js';

const SERVERS = '/v1/egress/servers';
const DEFAULT = '/v1/egress/default';

let made = 0;

/** Nobody knows that name, so that nothing is dialled. */
const serverOf = (name = `out${++made}`) => ({
  name,
  kind: 'socks5',
  address: 'proxy.example.com',
  port: 1080,
  username: 'user',
  password: 'canary of an egress server',
  failover_id: null,
  enabled: true,
});

const idOf = async (world: World, name?: string): Promise<string> =>
  (await world.create(SERVERS, serverOf(name))).id;
const newServer = async (world: World) => `${SERVERS}/${await idOf(world)}`;

export const EGRESS_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${SERVERS}`]: { bodies: () => [serverOf()] },
  [`GET ${SERVERS}/:id`]: { path: newServer },
  [`PATCH ${SERVERS}/:id`]: { path: newServer, bodies: () => [serverOf()] },
  [`DELETE ${SERVERS}/:id`]: { path: newServer },
  [`POST ${SERVERS}/:id/test`]: {
    path: async (world) => `${await newServer(world)}/test`,
    bodies: () => [{ host: 'api.example.com' }],
  },
  [`PUT ${DEFAULT}`]: {
    bodies: async (world) => [{ egress_server_id: await idOf(world) }, { egress_server_id: null }],
  },
};

export const EGRESS_KINDS = {
  [SERVERS]: {
    make: async (world: World, name: string) => ({ list: SERVERS, id: await idOf(world, name) }),
  },
};
