import {
  createInboundDeliveryStore,
  type InboundDelivery,
} from '../capabilities/inbound-webhooks/deliveries/store.js';
import { systemIds } from '../platform/crypto/random.js';
import { newNamedKey } from './crypto-key-samples.js';
import type { World } from './matrix-rig.js';
import type { RouteSample } from './route-sample.js';

export const INBOUND_WEBHOOKS = '/v1/inbound-webhooks';

let made = 0;

export const inboundWebhookOf = (name = `w${++made}`) => ({
  name,
  description: 'd',
  format: 'custom',
  secret: 'canary-inbound-secret',
  hmac_key_id: null,
  header_name: 'X-Signature',
  tolerance_seconds: 60,
  // Nobody knows that name.
  target_url: 'https://orders.example.com/in' as string | null,
  max_retries: 3,
  enabled: true,
});

async function withKey(world: World, body: Readonly<Record<string, unknown>>) {
  const key = await newNamedKey(world, 'hmac-sha256');
  return [
    body,
    { ...body, name: `k${++made}`, secret: null, hmac_key_id: key.slice(key.lastIndexOf('/') + 1) },
    {
      ...body,
      name: `k${++made}`,
      target_url: null,
      route_id: await newRouteId(world),
      route_environment: 'production',
    },
  ];
}

async function newInboundWebhook(world: World): Promise<string> {
  return `${INBOUND_WEBHOOKS}/${(await world.create(INBOUND_WEBHOOKS, inboundWebhookOf())).id}`;
}

async function newDeadLetter(world: World): Promise<string> {
  const webhook = await newInboundWebhook(world);
  const { installation, tenant, mode } = world;
  const id = systemIds.uuid();
  const nowMs = installation.clock.nowMs();
  const delivery: InboundDelivery = {
    id,
    scope: { tenantId: tenant.id, sandbox: mode === 'test' },
    webhookId: webhook.slice(webhook.lastIndexOf('/') + 1),
    state: 'dead',
    dueAtMs: null,
    attempts: 4,
    method: 'POST',
    bytes: 2,
    sourceIp: null,
    lastStatus: 500,
    lastError: 'The upstream answered 500',
    lastRequestId: systemIds.uuid(),
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  };
  const deliveries = createInboundDeliveryStore(installation.db);
  await installation.db.transaction((tx) =>
    deliveries.insert(tx, delivery, { contentEnvelope: Buffer.from('of nobody') }),
  );
  return `${webhook}/deliveries/${id}`;
}

async function newRouteId(world: World): Promise<string> {
  const route = { name: `r${++made}`, target_base_url: 'https://orders.example.com' };
  return (await world.create('/v1/routes', route)).id;
}

export const INBOUND_WEBHOOK_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${INBOUND_WEBHOOKS}`]: { bodies: (world) => withKey(world, inboundWebhookOf()) },
  [`GET ${INBOUND_WEBHOOKS}/:id`]: { path: newInboundWebhook },
  [`PATCH ${INBOUND_WEBHOOKS}/:id`]: {
    path: newInboundWebhook,
    bodies: (world) => withKey(world, inboundWebhookOf()),
  },
  [`DELETE ${INBOUND_WEBHOOKS}/:id`]: { path: newInboundWebhook },
  [`GET ${INBOUND_WEBHOOKS}/:id/deliveries`]: {
    path: async (world) => (await newDeadLetter(world)).replace(/\/[^/]+$/, ''),
  },
  [`POST ${INBOUND_WEBHOOKS}/:id/replay`]: {
    path: async (world) => (await newDeadLetter(world)).replace(/\/deliveries\/.*$/, '/replay'),
  },
  [`POST ${INBOUND_WEBHOOKS}/:id/deliveries/:deliveryId/replay`]: {
    path: async (world) => `${await newDeadLetter(world)}/replay`,
  },
};

export const INBOUND_WEBHOOK_KINDS = {
  [INBOUND_WEBHOOKS]: {
    make: async ({ create }: World, name: string) => ({
      list: INBOUND_WEBHOOKS,
      id: (await create(INBOUND_WEBHOOKS, inboundWebhookOf(name))).id,
    }),
  },
  [`${INBOUND_WEBHOOKS}/:id/deliveries`]: {
    make: async (world: World) => {
      const path = await newDeadLetter(world);
      const at = path.lastIndexOf('/');
      return { list: path.slice(0, at), id: path.slice(at + 1) };
    },
  },
};
