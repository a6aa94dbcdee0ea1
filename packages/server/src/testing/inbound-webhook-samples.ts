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
  target_url: 'https://orders.example.com/in',
  enabled: true,
});

async function withKey(world: World, body: Readonly<Record<string, unknown>>) {
  const key = await newNamedKey(world, 'hmac-sha256');
  return [
    body,
    { ...body, name: `k${++made}`, secret: null, hmac_key_id: key.slice(key.lastIndexOf('/') + 1) },
  ];
}

async function newInboundWebhook(world: World): Promise<string> {
  return `${INBOUND_WEBHOOKS}/${(await world.create(INBOUND_WEBHOOKS, inboundWebhookOf())).id}`;
}

export const INBOUND_WEBHOOK_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${INBOUND_WEBHOOKS}`]: { bodies: (world) => withKey(world, inboundWebhookOf()) },
  [`GET ${INBOUND_WEBHOOKS}/:id`]: { path: newInboundWebhook },
  [`PATCH ${INBOUND_WEBHOOKS}/:id`]: {
    path: newInboundWebhook,
    bodies: (world) => withKey(world, inboundWebhookOf()),
  },
  [`DELETE ${INBOUND_WEBHOOKS}/:id`]: { path: newInboundWebhook },
};

export const INBOUND_WEBHOOK_KINDS = {
  [INBOUND_WEBHOOKS]: {
    make: async ({ create }: World, name: string) => ({
      list: INBOUND_WEBHOOKS,
      id: (await create(INBOUND_WEBHOOKS, inboundWebhookOf(name))).id,
    }),
  },
};
