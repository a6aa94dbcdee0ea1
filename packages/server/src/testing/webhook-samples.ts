import { createDeliveryStore } from '../capabilities/webhooks/deliveries/store.js';
import { systemIds } from '../platform/crypto/random.js';
import { newNamedKey } from './crypto-key-samples.js';
import type { World } from './matrix-rig.js';
import type { RouteSample } from './route-sample.js';

export const WEBHOOKS = '/v1/webhooks';
/** Nobody knows that name, so that nothing is sent. */
const URL = 'https://hooks.example.com/knoxcall';
const ROUTE = '6f1c1f0e-0000-4000-8000-000000000001';
const TERMS = {
  description: 'd',
  method: 'POST',
  auth_type: 'bearer',
  auth_config: { token: 'canary-receiver' },
  request_headers: { 'X-Environment': 'canary-header' },
  route_filter: [ROUTE],
  include_request_body: true,
  include_response_body: true,
  include_headers: true,
  timeout_seconds: 5,
  retry_on_failure: true,
  max_retries: 3,
  enabled: true,
  hmac_format: 'custom',
  hmac_header_name: 'X-Signature',
};

let made = 0;

export const webhookOf = (name = `w${++made}`) => ({
  name,
  url: URL,
  event_types: ['audit.event', 'request.error'],
  ...TERMS,
});

async function withKey(world: World, body: Readonly<Record<string, unknown>>) {
  const key = await newNamedKey(world, 'hmac-sha256');
  return [body, { ...body, hmac_key_id: key.slice(key.lastIndexOf('/') + 1) }];
}

export async function newWebhook(world: World): Promise<string> {
  return `${WEBHOOKS}/${(await world.create(WEBHOOKS, webhookOf())).id}`;
}

/** With one row in its log. */
async function newTested(world: World): Promise<{ readonly list: string; readonly id: string }> {
  const webhook = await newWebhook(world);
  await world.call('POST', `${webhook}/test`);
  const { json } = await world.call('GET', `${webhook}/logs`);
  return { list: `${webhook}/logs`, id: (json['data'] ?? json)[0].id };
}

/** The row of the log that tells of it. */
async function newDeadLetter(world: World): Promise<string> {
  const webhook = await newWebhook(world);
  const webhookId = webhook.slice(webhook.lastIndexOf('/') + 1);
  const { installation, tenant, mode } = world;
  const scope = { tenantId: tenant.id, sandbox: mode === 'test' };
  const [deliveryId, attemptId] = [systemIds.uuid(), systemIds.uuid()];
  const nowMs = installation.clock.nowMs();
  const deliveries = createDeliveryStore(installation.db);
  const of = { webhookId, eventType: 'audit.event' };
  await installation.db.transaction(async (tx) => {
    await deliveries.insert(tx, scope, [
      {
        ...of,
        id: deliveryId,
        scope,
        eventId: deliveryId,
        payload: '{}',
        occurredAtMs: nowMs,
        state: 'dead',
        dueAtMs: null,
        attempts: 4,
        interruptions: 0,
        createdAtMs: nowMs,
      },
    ]);
    await deliveries.addAttempts(tx, scope, [
      {
        ...of,
        id: attemptId,
        deliveryId,
        attempt: 4,
        method: 'POST',
        targetUrl: URL,
        status: 500,
        responseTimeMs: 1,
        executedAtMs: nowMs,
        success: false,
        error: 'The receiver answered 500',
      },
    ]);
  });
  return `${webhook}/logs/${attemptId}`;
}

export const WEBHOOK_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${WEBHOOKS}`]: { bodies: (world) => withKey(world, webhookOf()) },
  [`GET ${WEBHOOKS}/:id`]: { path: newWebhook },
  [`PATCH ${WEBHOOKS}/:id`]: {
    path: newWebhook,
    bodies: (world) => withKey(world, { ...webhookOf('changed'), secret_key: null }),
  },
  [`DELETE ${WEBHOOKS}/:id`]: { path: newWebhook },
  [`GET ${WEBHOOKS}/:id/logs`]: { path: async (world) => (await newTested(world)).list },
  [`POST ${WEBHOOKS}/:id/test`]: { path: async (world) => `${await newWebhook(world)}/test` },
  [`POST ${WEBHOOKS}/:id/replay`]: {
    path: async (world) => (await newDeadLetter(world)).replace(/\/logs\/.*$/, '/replay'),
  },
  [`POST ${WEBHOOKS}/:id/logs/:logId/replay`]: {
    path: async (world) => `${await newDeadLetter(world)}/replay`,
  },
};

export const WEBHOOK_KINDS = {
  [WEBHOOKS]: {
    make: async ({ create }: World, name: string) => ({
      list: WEBHOOKS,
      id: (await create(WEBHOOKS, webhookOf(name))).id,
    }),
  },
  [`${WEBHOOKS}/:id/logs`]: { make: newTested },
};
