import { type RouteDefinition, route } from '../../platform/http/route.js';
import type { InboundWebhooks } from './inbound-webhooks.js';
import {
  createInboundWebhookBody,
  deletedResponse,
  inboundWebhookListQuery,
  inboundWebhookParams,
  inboundWebhookResponse,
  inboundWebhookWire,
  updateInboundWebhookBody,
} from './schemas.js';

const PATH = '/v1/inbound-webhooks';

export function inboundWebhookRoutes(webhooks: Pick<InboundWebhooks, 'records'>): RouteDefinition[] {
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
  ];
}
