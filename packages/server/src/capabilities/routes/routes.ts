import { type RouteDefinition, route } from '../../platform/http/route.js';
import {
  actionResponse,
  actionsResponse,
  actionWire,
  createActionBody,
  deletedActionResponse,
} from './actions/schemas.js';
import type { Routes } from './composition.js';
import {
  assignedResponse,
  clientsResponse,
  configResponse,
  configsResponse,
  configWire,
  deletedResponse,
  routeDetailResponse,
  routeDetailWire,
  routeLogResponse,
  routeLogWire,
  routeResponse,
  routeRowResponse,
  routeRowWire,
  routeWire,
} from './responses.js';
import {
  actionParams,
  clientParams,
  clientsBody,
  createRouteBody,
  environmentBody,
  environmentParams,
  routeListQuery,
  routeLogsQuery,
  routeParams,
  updateRouteBody,
} from './schemas.js';

const ROUTES = '/v1/routes';
const ROUTE = `${ROUTES}/:id`;
const ENVIRONMENT = `${ROUTE}/environments/:env`;
const CLIENTS = `${ENVIRONMENT}/clients`;
const ACTIONS = `${ROUTE}/actions`;
/** What the target, and hosts that secrets are bound to, may be refused by. */
const OF_TARGETS = ['ssrf_blocked', 'egress_blocked'] as const;
const deleted = () => ({ deleted: true }) as const;

export function routeRoutes(routes: Routes): RouteDefinition[] {
  return [
    ...ofRecords(routes),
    ...ofEnvironments(routes),
    ...ofClients(routes),
    ...ofActions(routes),
    ...ofLogs(routes),
  ];
}

function ofRecords(routes: Routes): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: ROUTES,
      summary: 'List routes',
      permission: 'routes:read',
      audit: null,
      query: routeListQuery,
      response: routeRowResponse,
      answer: 'page',
      async handle({ caller, query: { per_page, enabled, ...query } }) {
        const page = await routes.records.list(caller, { ...query, perPage: per_page, enabled });
        return { ...page, rows: page.rows.map(routeRowWire) };
      },
    }),
    route({
      method: 'POST',
      path: ROUTES,
      summary: 'Make a route, with what it does in its base environment',
      permission: 'routes:write',
      audit: 'route.create',
      body: createRouteBody,
      response: routeResponse,
      errors: ['plan_limit', 'conflict', ...OF_TARGETS],
      status: 201,
      handle: ({ caller, body }) => routes.records.create(caller, body),
      wire: routeWire,
    }),
    route({
      method: 'GET',
      path: ROUTE,
      summary: 'Read a route',
      permission: 'routes:read',
      audit: null,
      params: routeParams,
      response: routeDetailResponse,
      handle: async ({ caller, params }) => routeDetailWire(await routes.records.get(caller, params.id)),
    }),
    route({
      method: 'PATCH',
      path: ROUTE,
      summary:
        'Change a route and its base environment; requires_clients and mtls_certificate_id in every environment',
      permission: 'routes:write',
      audit: 'route.update, route.enable, route.disable',
      params: routeParams,
      body: updateRouteBody,
      response: routeResponse,
      errors: ['conflict', ...OF_TARGETS],
      handle: ({ caller, params, body }) => routes.records.update(caller, params.id, body),
      wire: routeWire,
    }),
    route({
      method: 'DELETE',
      path: ROUTE,
      summary: 'Delete a route, with its environments, their clients and its actions',
      permission: 'routes:write',
      audit: 'route.delete',
      params: routeParams,
      response: deletedResponse,
      handle: ({ caller, params }) => routes.records.delete(caller, params.id),
      wire: deleted,
    }),
  ];
}

function ofEnvironments(routes: Routes): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: `${ROUTE}/environments`,
      summary: 'List what a route does in each of its environments',
      permission: 'routes:read',
      audit: null,
      params: routeParams,
      response: configsResponse,
      handle: async ({ caller, params }) =>
        (await routes.records.get(caller, params.id)).configs.map(configWire),
    }),
    route({
      method: 'PUT',
      path: ENVIRONMENT,
      summary: 'Say what a route does in an environment; what is not sent stays, what is null is inherited',
      permission: 'routes:write',
      audit: 'route.environment.update',
      params: environmentParams,
      body: environmentBody,
      response: configResponse,
      errors: ['conflict', ...OF_TARGETS],
      handle: ({ caller, params, body }) =>
        routes.records.putEnvironment(caller, params.id, params.env, body),
      wire: configWire,
    }),
    route({
      method: 'DELETE',
      path: ENVIRONMENT,
      summary: 'Take an environment from a route, with its clients: calls for it are refused',
      permission: 'routes:write',
      audit: 'route.environment.delete',
      params: environmentParams,
      response: deletedResponse,
      errors: ['conflict'],
      handle: ({ caller, params }) => routes.records.deleteEnvironment(caller, params.id, params.env),
      wire: deleted,
    }),
  ];
}

function ofClients(routes: Routes): RouteDefinition[] {
  const idsWire = (client_ids: string[]) => ({ client_ids });
  return [
    route({
      method: 'GET',
      path: CLIENTS,
      summary: 'Read which clients may call a route in an environment',
      permission: 'routes:read',
      audit: null,
      params: environmentParams,
      response: clientsResponse,
      handle: async ({ caller, params }) => idsWire(await routes.clients.list(caller, params.id, params.env)),
    }),
    route({
      method: 'PUT',
      path: CLIENTS,
      summary: 'Say which clients may call a route in an environment, in the place of those that may',
      permission: 'routes:write',
      audit: 'client.assign, client.unassign',
      params: environmentParams,
      body: clientsBody,
      response: clientsResponse,
      handle: ({ caller, params, body }) =>
        routes.clients.replace(caller, params.id, params.env, body.client_ids),
      wire: idsWire,
    }),
    route({
      method: 'POST',
      path: `${CLIENTS}/:clientId`,
      summary: 'Let a client call a route in an environment; once more does nothing',
      permission: 'routes:write',
      audit: 'client.assign',
      params: clientParams,
      response: assignedResponse,
      handle: ({ caller, params }) => routes.clients.assign(caller, params.id, params.env, params.clientId),
      wire: () => ({ assigned: true }),
    }),
    route({
      method: 'DELETE',
      path: `${CLIENTS}/:clientId`,
      summary: 'Let a client call a route in an environment no more; one that may not is left as it is',
      permission: 'routes:write',
      audit: 'client.unassign',
      params: clientParams,
      response: deletedResponse,
      handle: ({ caller, params }) => routes.clients.unassign(caller, params.id, params.env, params.clientId),
      wire: deleted,
    }),
  ];
}

function ofActions(routes: Routes): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: ACTIONS,
      summary: 'List what a route does to fields of requests and answers',
      permission: 'routes:read',
      audit: null,
      params: routeParams,
      response: actionsResponse,
      handle: async ({ caller, params }) => (await routes.actions.list(caller, params.id)).map(actionWire),
    }),
    route({
      method: 'POST',
      path: ACTIONS,
      summary:
        'Have a route encrypt, decrypt, tokenize or detokenize fields, which the caller has to be allowed to',
      permission: 'routes:write',
      audit: 'route.action.create',
      params: routeParams,
      body: createActionBody,
      response: actionResponse,
      errors: ['conflict'],
      status: 201,
      handle: ({ caller, params, body }) => routes.actions.create(caller, params.id, body),
      wire: actionWire,
    }),
    route({
      method: 'DELETE',
      path: `${ACTIONS}/:actionId`,
      summary: 'Delete an action of a route',
      permission: 'routes:write',
      audit: 'route.action.delete',
      params: actionParams,
      response: deletedActionResponse,
      handle: ({ caller, params }) => routes.actions.delete(caller, params.id, params.actionId),
      wire: (id) => ({ deleted: id }),
    }),
  ];
}

function ofLogs(routes: Routes): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: `${ROUTE}/logs`,
      summary: 'Calls of a route, the newest first',
      permission: 'log:list',
      audit: null,
      params: routeParams,
      query: routeLogsQuery,
      response: routeLogResponse,
      answer: 'page',
      async handle({ caller, params, query }) {
        const withIdentity = caller.principal.may('log:read_identity');
        const page = await routes.logs.list(caller, params.id, { page: query.page, perPage: query.per_page });
        return { ...page, rows: page.rows.map((log) => routeLogWire(log, withIdentity)) };
      },
    }),
  ];
}
