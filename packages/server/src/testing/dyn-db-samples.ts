import type { World } from './matrix-rig.js';
import { MEMORY_PASSWORD } from './memory-databases.js';
import { freshName, type Kind, type RouteSample } from './route-sample.js';
import { createTestCa } from './tls-upstream.js';

const DB = '/v1/dyn-db-credentials';
const DB_TTLS = { default_ttl_seconds: 3_600, max_ttl_seconds: 86_400 };
const DB_LIMITS = { username_template: '{{actor}}', max_live_leases: 10 };
const DB_OPTIONS = {
  sslmode: 'verify-full',
  ssl_ca: (await createTestCa()).caPem,
  connect_timeout_ms: 5_000,
  statement_timeout_ms: 5_000,
};

const OF_OTHER_MODES = {
  agent_id: null,
  ssh_host: null,
  ssh_port: null,
  ssh_username: null,
  ssh_private_key: null,
  ssh_passphrase: null,
  ssh_host_fingerprint: null,
  iam_region: null,
  iam_db_user: null,
};

const DB_CHANGES = {
  host: 'db.example.com',
  port: 5_432,
  database_name: 'app',
  admin_username: 'admin',
  admin_password: MEMORY_PASSWORD,
  enabled: true,
  agent_id: null,
  ...DB_TTLS,
  ...DB_LIMITS,
};

const SQL = { creation_sql: "{{username}} '{{password}}'", revocation_sql: '{{username}}' };
const connectionOf = (name = freshName()) => ({
  name,
  engine: 'postgres',
  host: `${name}.example.com`,
  port: 5_432,
  database_name: 'app',
  admin_username: 'admin',
  admin_password: MEMORY_PASSWORD,
  execution_mode: 'direct',
  ...DB_TTLS,
  ...DB_LIMITS,
  connect_options: DB_OPTIONS,
  ...OF_OTHER_MODES,
});

/** Beside the one above, what only mongo has. */
const mongoOf = () => ({
  ...connectionOf(),
  engine: 'mongodb',
  connect_options: { authSource: 'admin', replicaSet: 'rs0', tls: true },
});

const newConnection = async ({ create }: World) => `${DB}/${(await create(DB, connectionOf())).name}`;
const newDbRole = async (world: World) => {
  const connection = await newConnection(world);
  return { connection, role: (await world.create(`${connection}/roles`, roleOf())).name };
};

const roleOf = (name = freshName()) => ({
  name,
  template: 'readonly',
  schemas: ['public'],
  ...DB_TTLS,
  ...DB_LIMITS,
});

const newLease = async (world: World) => {
  const { connection, role } = await newDbRole(world);
  return `${DB}/leases/${(await world.create(`${connection}/creds/${role}`, {})).lease_id}`;
};

async function dbRolePath(world: World): Promise<string> {
  const { connection, role } = await newDbRole(world);
  return `${connection}/roles/${role}`;
}

export const DYN_DB_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${DB}`]: { bodies: () => [connectionOf(), mongoOf()] },
  [`GET ${DB}/:name`]: { path: newConnection },
  [`PATCH ${DB}/:name`]: {
    path: async ({ create }) => `${DB}/${(await create(DB, mongoOf())).name}`,
    bodies: () => [
      { ...DB_CHANGES, connect_options: { ...DB_OPTIONS, authSource: 'admin', replicaSet: 'rs0' } },
      { ...DB_CHANGES, connect_options: { tls: true } },
    ],
  },
  [`DELETE ${DB}/:name`]: { path: newConnection },
  [`POST ${DB}/:name/rotate-ssh-key`]: {
    path: async (world) => `${await newConnection(world)}/rotate-ssh-key`,
    bodies: () => [{ ssh_private_key: 'k', ssh_passphrase: 'p', ssh_host_fingerprint: 'f' }],
    refused: 400,
  },
  [`POST ${DB}/:name/rotate-admin-password`]: {
    path: async (world) => `${await newConnection(world)}/rotate-admin-password`,
  },
  [`POST ${DB}/:name/test`]: {
    async path(world) {
      const connection = await newConnection(world);
      await world.create(`${connection}/roles`, roleOf('tested'));
      return `${connection}/test`;
    },
    bodies: () => [{ role: 'tested' }],
  },
  'POST /admin/dyn-db-credentials/test': { bodies: () => [connectionOf(), mongoOf()] },
  [`GET ${DB}/:name/orphans`]: { path: async (world) => `${await newConnection(world)}/orphans` },
  [`GET ${DB}/:name/roles`]: { path: async (world) => `${await newConnection(world)}/roles` },
  [`POST ${DB}/:name/roles`]: {
    path: async (world) => `${await newConnection(world)}/roles`,
    bodies: () => [roleOf(), { name: freshName(), ...SQL, ...DB_TTLS, ...DB_LIMITS }],
  },
  [`GET ${DB}/:name/roles/:role`]: { path: dbRolePath },
  [`PATCH ${DB}/:name/roles/:role`]: {
    path: dbRolePath,
    bodies: () => [{ ...SQL, ...DB_TTLS, ...DB_LIMITS }],
  },
  [`DELETE ${DB}/:name/roles/:role`]: { path: dbRolePath },
  [`POST ${DB}/:name/creds/:role`]: {
    async path(world) {
      const { connection, role } = await newDbRole(world);
      return `${connection}/creds/${role}`;
    },
    bodies: () => [{ ttl_seconds: 60 }],
  },
  [`GET ${DB}/leases/:id`]: { path: newLease },
  [`POST ${DB}/leases/:id/renew`]: {
    path: async (world) => `${await newLease(world)}/renew`,
    bodies: () => [{ ttl_seconds: 60 }],
  },
  [`POST ${DB}/leases/:id/revoke`]: {
    path: async (world) => `${await newLease(world)}/revoke`,
    bodies: () => [{ force: true }],
  },
  [`POST ${DB}/leases/revoke`]: {
    bodies: () => [{ connection: 'orders', role: 'reader', ids: [1] }],
  },
};

export const DYN_DB_KINDS: Readonly<Record<string, Kind>> = {
  [DB]: {
    make: async ({ create }, name) => ({ list: DB, id: (await create(DB, connectionOf(name))).id }),
  },
  [`${DB}/:name/roles`]: {
    async make({ create }, name) {
      await create(DB, connectionOf(name));
      const list = `${DB}/${name}/roles`;
      return { list, id: (await create(list, roleOf(name))).id };
    },
  },
};
