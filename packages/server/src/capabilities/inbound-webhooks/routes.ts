import { type RouteDefinition, route } from '../../platform/http/route.js';
import type { InboundWebhooks } from './inbound-webhooks.js';
import {
  createInboundWebhookBody,
  deletedResponse,
  inboundDeliveryListQuery,
  inboundDeliveryParams,
  inboundDeliveryResponse,
  inboundDeliveryWire,
  inboundReplayedResponse,
  inboundWebhookListQuery,
  inboundWebhookParams,
  inboundWebhookResponse,
  inboundWebhookWire,
  updateInboundWebhookBody,
} from './schemas.js';

const PATH = '/v1/inbound-webhooks';

export function inboundWebhookRoutes(
  webhooks: Pick<InboundWebhooks, 'records' | 'requests'>,
): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: PATH,
      summary: 'List inbound webhooks',
      permission: 'webhooks:read',
      audit: null,
      query: inboundWebhookListQuery,
      response: inboundWebhookResponse,
      answer: 'page',
      async handle({ caller, query }) {
        const page = await webhooks.records.list(caller, { ...query, perPage: query.per_page });
        return { ...page, rows: page.rows.map(inboundWebhookWire) };
      },
    }),
    route({
      method: 'POST',
      path: PATH,
      summary: 'Have signed requests of others verified and passed on',
      permission: 'webhooks:write',
      audit: 'webhook.create',
      body: createInboundWebhookBody,
      response: inboundWebhookResponse,
      errors: ['conflict', 'egress_blocked', 'ssrf_blocked', 'tenant_sealed'],
      status: 201,
      handle: ({ caller, body }) => webhooks.records.create(caller, body),
      wire: inboundWebhookWire,
    }),
    route({
      method: 'GET',
      path: `${PATH}/:id`,
      summary: 'Read an inbound webhook',
      permission: 'webhooks:read',
      audit: null,
      params: inboundWebhookParams,
      response: inboundWebhookResponse,
      handle: async ({ caller, params }) => inboundWebhookWire(await webhooks.records.get(caller, params.id)),
    }),
    route({
      method: 'PATCH',
      path: `${PATH}/:id`,
      summary: 'Change an inbound webhook',
      permission: 'webhooks:write',
      audit: 'webhook.update',
      params: inboundWebhookParams,
      body: updateInboundWebhookBody,
      response: inboundWebhookResponse,
      errors: ['conflict', 'egress_blocked', 'ssrf_blocked', 'tenant_sealed'],
      handle: ({ caller, params, body }) => webhooks.records.update(caller, params.id, body),
      wire: inboundWebhookWire,
    }),
    route({
      method: 'DELETE',
      path: `${PATH}/:id`,
      summary: 'Delete an inbound webhook',
      permission: 'webhooks:write',
      audit: 'webhook.delete',
      params: inboundWebhookParams,
      response: deletedResponse,
      handle: ({ caller, params }) => webhooks.records.delete(caller, params.id),
      wire: () => ({ deleted: true }),
    }),
    route({
      method: 'GET',
      path: `${PATH}/:id/deliveries`,
      summary: 'List requests on their way to the route of an inbound webhook, and dead letters',
      permission: 'webhooks:read',
      audit: null,
      params: inboundWebhookParams,
      query: inboundDeliveryListQuery,
      response: inboundDeliveryResponse,
      answer: 'page',
      async handle({ caller, params, query }) {
        const page = await webhooks.requests.list(caller, params.id, { ...query, perPage: query.per_page });
        return { ...page, rows: page.rows.map(inboundDeliveryWire) };
      },
    }),
    route({
      method: 'POST',
      path: `${PATH}/:id/replay`,
      summary: 'Try the dead letters of an inbound webhook again, the oldest 500',
      permission: 'webhooks:write',
      audit: 'webhook.deliver',
      params: inboundWebhookParams,
      response: inboundReplayedResponse,
      handle: ({ caller, params }) => webhooks.requests.replayAll(caller, params.id),
      wire: (replayed) => ({ replayed }),
    }),
    route({
      method: 'POST',
      path: `${PATH}/:id/deliveries/:deliveryId/replay`,
      summary: 'Try a dead letter again',
      permission: 'webhooks:write',
      audit: 'webhook.deliver',
      params: inboundDeliveryParams,
      response: inboundReplayedResponse,
      errors: ['conflict'],
      handle: ({ caller, params }) => webhooks.requests.replay(caller, params.id, params.deliveryId),
      wire: (replayed) => ({ replayed }),
    }),
  ];
}
