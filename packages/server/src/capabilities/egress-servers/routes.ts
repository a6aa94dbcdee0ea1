import { type RouteDefinition, route } from '../../platform/http/route.js';
import {
  createServerBody,
  defaultBody,
  defaultResponse,
  deletedResponse,
  serverListQuery,
  serverParams,
  serverResponse,
  serverWire,
  testedResponse,
  testServerBody,
  updateServerBody,
} from './schemas.js';
import type { EgressServers } from './service.js';

const PATH = '/v1/egress/servers';

export function egressServerRoutes(servers: EgressServers): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: PATH,
      summary: 'List egress servers',
      permission: 'egress:read',
      audit: null,
      query: serverListQuery,
      response: serverResponse,
      answer: 'page',
      async handle({ caller, query }) {
        const page = await servers.list(caller, { ...query, perPage: query.per_page });
        return { ...page, rows: page.rows.map(serverWire) };
      },
    }),
    route({
      method: 'POST',
      path: PATH,
      summary: 'Add a server that calls can leave by',
      permission: 'egress:write',
      audit: 'egress_server.create',
      body: createServerBody,
      response: serverResponse,
      errors: ['conflict', 'ssrf_blocked', 'tenant_sealed'],
      status: 201,
      handle: ({ caller, body }) => servers.create(caller, body),
      wire: serverWire,
    }),
    route({
      method: 'GET',
      path: `${PATH}/:id`,
      summary: 'Read an egress server',
      permission: 'egress:read',
      audit: null,
      params: serverParams,
      response: serverResponse,
      handle: async ({ caller, params }) => serverWire(await servers.get(caller, params.id)),
    }),
    route({
      method: 'PATCH',
      path: `${PATH}/:id`,
      summary: 'Change an egress server; another place needs its password again',
      permission: 'egress:write',
      audit: 'egress_server.update',
      params: serverParams,
      body: updateServerBody,
      response: serverResponse,
      errors: ['conflict', 'ssrf_blocked', 'tenant_sealed'],
      handle: ({ caller, params, body }) => servers.update(caller, params.id, body),
      wire: serverWire,
    }),
    route({
      method: 'DELETE',
      path: `${PATH}/:id`,
      summary: 'Delete an egress server that nothing uses',
      permission: 'egress:write',
      audit: 'egress_server.delete',
      params: serverParams,
      response: deletedResponse,
      errors: ['conflict'],
      handle: ({ caller, params }) => servers.delete(caller, params.id),
      wire: () => ({ deleted: true }),
    }),
    route({
      method: 'POST',
      path: `${PATH}/:id/test`,
      summary: 'See whether a host can be connected to by an egress server',
      permission: 'egress:write',
      audit: null,
      params: serverParams,
      body: testServerBody,
      response: testedResponse,
      errors: ['egress_blocked', 'ssrf_blocked', 'tenant_sealed'],
      async handle({ caller, params, body }) {
        const { success, responseTimeMs, error } = await servers.test(caller, params.id, body.host);
        return { success, response_time_ms: responseTimeMs, ...(error !== null && { error }) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/egress/default',
      summary: 'Read by which egress server calls leave that name none',
      permission: 'egress:read',
      audit: null,
      response: defaultResponse,
      handle: async ({ caller }) => ({ egress_server_id: await servers.defaultOf(caller) }),
    }),
    route({
      method: 'PUT',
      path: '/v1/egress/default',
      summary: 'Set by which egress server calls leave that name none',
      permission: 'egress:write',
      audit: 'egress.update',
      body: defaultBody,
      response: defaultResponse,
      errors: ['conflict'],
      handle: ({ caller, body }) => servers.setDefault(caller, body.egress_server_id),
      wire: (id) => ({ egress_server_id: id }),
    }),
  ];
}
