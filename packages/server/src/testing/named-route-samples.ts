import { newLog } from './log-samples.js';
import type { World } from './matrix-rig.js';
import { freshName, type Kind, type RouteSample } from './route-sample.js';
import { newCertificate, newEnvironment } from './secret-samples.js';

export const ROUTES = '/v1/routes';
/** Nobody knows that name, so that nothing is asked. */
const TARGET = 'https://api.example.com/v1';

const LIMITS = {
  rate_limit_enabled: true,
  rate_limit_requests: 1_000,
  rate_limit_window_sec: 3_600,
  rate_limit_burst: 200,
};
const CONFIG = {
  inject_headers_json: { 'X-Team': 'a' },
  inject_body_json: { source: { name: 'knoxcall' } },
  ...LIMITS,
  require_signature: true,
  signature_tolerance_sec: 60,
  signature_header: 'X-Acme-Signature',
  timestamp_header: 'X-Acme-Timestamp',
  allowed_methods: ['GET', 'post'],
  http_method_restrictions_enabled: true,
  method_configs: {
    POST: { target_base_url: `${TARGET}/in`, inject_headers_json: {}, inject_body_json: {}, ...LIMITS },
  },
  use_method_specific_configs: true,
  egress_server_id: null,
  requires_clients: true,
  ip_allowlist: ['203.0.113.0/24', '2001:db8::1'],
  intercept_enabled: true,
  injection_rules: [],
  data_plane_node_id: null,
};

export const routeOf = (name = freshName()) => ({ name, target_base_url: TARGET });

export const newRoute = async (world: World) => `${ROUTES}/${(await world.create(ROUTES, routeOf())).id}`;

const idOf = (path: string) => path.slice(path.lastIndexOf('/') + 1);

async function withCertificate(world: World, body: Readonly<Record<string, unknown>>) {
  return { ...body, mtls_certificate_id: idOf(await newCertificate(world)) };
}

/** A route with an environment beside its base; the path of that. */
async function newOverride(world: World): Promise<string> {
  const environments = `${await newRoute(world)}/environments`;
  const { name } = await nameOf(world, await newEnvironment(world));
  await world.call('PUT', `${environments}/${name}`, { body: {} });
  return `${environments}/${name}`;
}

/** Environments are listed alone. */
async function nameOf(world: World, path: string): Promise<{ readonly name: string }> {
  const { json } = await world.call('GET', '/v1/environments');
  const rows = json['data'] as unknown as { readonly id: string; readonly name: string }[];
  return rows.find(({ id }) => id === idOf(path))!;
}

async function newAssigned(world: World, isAssigned: boolean): Promise<string> {
  const clients = `${await newRoute(world)}/environments/production/clients`;
  const { id } = await world.create('/v1/clients', { name: freshName() });
  if (isAssigned) await world.call('POST', `${clients}/${id}`);
  return `${clients}/${id}`;
}

const actionOf = (key_name: string | null) => ({
  direction: 'request',
  action: 'decrypt',
  selectors: ['$.card.number', "$.items[*]['pan']"],
  key_name,
  data_role: null,
  content_type: 'application/json',
  sort_order: 1,
  enabled: true,
});

async function newAction(world: World): Promise<string> {
  const actions = `${await newRoute(world)}/actions`;
  return `${actions}/${(await world.create(actions, actionOf(null))).id}`;
}

export const NAMED_ROUTE_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${ROUTES}`]: {
    bodies: async (world) => [
      await withCertificate(world, {
        ...routeOf(),
        ...CONFIG,
        slug: freshName(),
        base_environment: 'production',
        collection_id: null,
        enabled: true,
      }),
    ],
  },
  [`GET ${ROUTES}/:id`]: { path: newRoute },
  [`PATCH ${ROUTES}/:id`]: {
    path: newRoute,
    bodies: async (world) => [await withCertificate(world, { ...routeOf(), ...CONFIG, enabled: false })],
  },
  [`DELETE ${ROUTES}/:id`]: { path: newRoute },
  [`GET ${ROUTES}/:id/logs`]: { path: async (world) => `${await newRoute(world)}/logs` },
  [`GET ${ROUTES}/:id/environments`]: { path: async (world) => `${await newRoute(world)}/environments` },
  [`PUT ${ROUTES}/:id/environments/:env`]: {
    path: async (world) => `${await newRoute(world)}/environments/production`,
    bodies: async (world) => [
      await withCertificate(world, {
        ...CONFIG,
        environment_name: 'production',
        target_base_url: TARGET,
        enabled: false,
      }),
    ],
  },
  [`DELETE ${ROUTES}/:id/environments/:env`]: { path: newOverride },
  [`GET ${ROUTES}/:id/environments/:env/clients`]: {
    path: async (world) => `${await newRoute(world)}/environments/production/clients`,
  },
  [`PUT ${ROUTES}/:id/environments/:env/clients`]: {
    path: async (world) => `${await newRoute(world)}/environments/production/clients`,
    bodies: async ({ create }) => [{ client_ids: [(await create('/v1/clients', { name: freshName() })).id] }],
  },
  [`POST ${ROUTES}/:id/environments/:env/clients/:clientId`]: { path: (world) => newAssigned(world, false) },
  [`DELETE ${ROUTES}/:id/environments/:env/clients/:clientId`]: { path: (world) => newAssigned(world, true) },
  [`GET ${ROUTES}/:id/actions`]: { path: async (world) => `${await newRoute(world)}/actions` },
  [`POST ${ROUTES}/:id/actions`]: {
    path: async (world) => `${await newRoute(world)}/actions`,
    bodies: () => [actionOf(null)],
  },
  [`DELETE ${ROUTES}/:id/actions/:actionId`]: { path: newAction },
};

export const NAMED_ROUTE_KINDS: Readonly<Record<string, Kind>> = {
  [ROUTES]: {
    make: async ({ create }, name) => ({ list: ROUTES, id: (await create(ROUTES, routeOf(name))).id }),
  },
  [`${ROUTES}/:id/logs`]: {
    async make(world) {
      const route = await newRoute(world);
      return { list: `${route}/logs`, id: await newLog(world, { routeId: idOf(route) }) };
    },
  },
  [`${ROUTES}/:id/actions`]: {
    async make(world) {
      const action = await newAction(world);
      return { list: action.slice(0, action.lastIndexOf('/')), id: idOf(action) };
    },
  },
};
