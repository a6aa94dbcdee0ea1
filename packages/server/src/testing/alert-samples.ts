import { createAlertStore } from '../capabilities/alerts/store.js';
import { systemIds } from '../platform/crypto/random.js';
import type { World } from './matrix-rig.js';
import type { RouteSample } from './route-sample.js';

export const ALERTS = '/admin/alerts';

let made = 0;

export const alertOf = (name = `a${++made}`) => ({
  name,
  description: 'd',
  type: 'request_failures',
  severity: 'critical',
  condition: { threshold: 10, window_minutes: 5, include_status_codes: [500, 502] },
  route_id: '6f1c1f0e-0000-4000-8000-000000000001',
  environment: 'production',
  cooldown_minutes: 30,
  // Nobody knows those names, so that nothing is sent.
  channels: [
    { type: 'slack', url: 'https://slack.example.com/services/canary-url' },
    { type: 'webhook', url: 'https://hooks.example.com/a', secret: 'canary-secret-of-16' },
    { type: 'email', to: 'ops@example.com' },
  ],
  enabled: true,
});

export async function newAlert(world: World): Promise<string> {
  return `${ALERTS}/${(await world.create(ALERTS, alertOf())).id}`;
}

/** With one firing in its history. */
async function newFired({ create, installation, tenant, mode }: World) {
  const { id: alertId } = await create(ALERTS, alertOf());
  const scope = { tenantId: tenant.id, sandbox: mode === 'test' };
  const store = createAlertStore(installation.db);
  const alert = (await store.find(scope, alertId))!;
  const id = systemIds.uuid();
  const atMs = installation.clock.nowMs();
  await installation.db.transaction((tx) =>
    store.insertFiring(
      tx,
      {
        ...alert,
        id,
        alertId,
        alertName: alert.name,
        value: 12,
        requests: 20,
        windowFromMs: atMs,
        windowToMs: atMs,
        triggeredAtMs: atMs,
      },
      alert.channels,
    ),
  );
  return { list: `${ALERTS}/${alertId}/firings`, id };
}

const LATENCY = {
  type: 'high_latency',
  condition: { threshold_ms: 500, percentile: 99, window_minutes: 10, min_requests: 20 },
};

const BY_MAIL = { ...LATENCY, channels: [{ type: 'email', to: 'ops@example.com' }] };

/** A change that keeps a channel is of the alert that has it. */
const kept = new WeakMap<object, string>();
async function keeping(world: World) {
  const { id } = await world.create(ALERTS, alertOf());
  const { json } = await world.call('GET', `${ALERTS}/${id}`);
  const [first] = json['data'].channels;
  const body = { channels: [{ id: first.id, type: first.type }] };
  kept.set(body, `${ALERTS}/${id}`);
  return body;
}

export const ALERT_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${ALERTS}`]: { bodies: () => [alertOf(), { ...alertOf(), ...BY_MAIL }] },
  [`GET ${ALERTS}/:id`]: { path: newAlert },
  [`PATCH ${ALERTS}/:id`]: {
    path: newAlert,
    pathFor: async (world, body) => kept.get(body) ?? newAlert(world),
    bodies: async (world) => [alertOf('changed'), BY_MAIL, await keeping(world)],
  },
  [`DELETE ${ALERTS}/:id`]: { path: newAlert },
  [`GET ${ALERTS}/:id/firings`]: { path: async (world) => (await newFired(world)).list },
  [`POST ${ALERTS}/:id/test`]: { path: async (world) => `${await newAlert(world)}/test` },
};

export const ALERT_KINDS = {
  [ALERTS]: {
    make: async ({ create }: World, name: string) => ({
      list: ALERTS,
      id: (await create(ALERTS, alertOf(name))).id,
    }),
  },
  [`${ALERTS}/:id/firings`]: { make: newFired },
};
