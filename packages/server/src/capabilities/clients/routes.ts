import { type RouteDefinition, route } from '../../platform/http/route.js';
import {
  createCredentialBody,
  createdCredentialResponse,
  createdCredentialWire,
  credentialParams,
  credentialResponse,
  credentialsResponse,
  credentialWire,
  matchResponse,
  matchWire,
  updateCredentialBody,
} from './credentials/schemas.js';
import {
  clientDetailResponse,
  clientDetailWire,
  clientListQuery,
  clientParams,
  clientResponse,
  clientRowResponse,
  clientRowWire,
  clientWire,
  createClientBody,
  createdClientResponse,
  deletedResponse,
  updateClientBody,
} from './schemas.js';
import type { Clients } from './service.js';

export function clientRoutes(clients: Clients): RouteDefinition[] {
  return [...ofClients(clients), ...ofCredentials(clients)];
}

function ofClients(clients: Clients): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/clients',
      summary: 'List clients',
      permission: 'clients:read',
      audit: null,
      query: clientListQuery,
      response: clientRowResponse,
      answer: 'page',
      async handle({ caller, query }) {
        const page = await clients.list(caller, { ...query, perPage: query.per_page });
        return { ...page, rows: page.rows.map(clientRowWire) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/clients',
      summary: 'Make a client; it may call nowhere before it is assigned to a route',
      permission: 'clients:write',
      audit: 'client.create',
      body: createClientBody,
      response: createdClientResponse,
      errors: ['plan_limit', 'conflict'],
      status: 201,
      handle: ({ caller, body }) => clients.create(caller, body),
      wire: (client) => ({ ...clientWire(client), route_assignments: [] }),
    }),
    route({
      method: 'GET',
      path: '/v1/clients/match',
      summary: 'Ask which client this very call comes from, by its address and certificate',
      permission: 'clients:read',
      audit: null,
      response: matchResponse,
      errors: ['client_not_authorized'],
      async handle({ caller, source }) {
        const match = await clients.matcher.requireMatch(caller.principal.scope, source, 'all');
        return matchWire(match, source.address, source.certificate?.sha256Thumbprint ?? null);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/clients/:id',
      summary: 'Read a client, with the routes that it is assigned to',
      permission: 'clients:read',
      audit: null,
      params: clientParams,
      response: clientDetailResponse,
      handle: async ({ caller, params }) => clientDetailWire(await clients.get(caller, params.id)),
    }),
    route({
      method: 'PATCH',
      path: '/v1/clients/:id',
      summary: 'Change a client',
      permission: 'clients:write',
      audit: 'client.update',
      params: clientParams,
      body: updateClientBody,
      response: clientResponse,
      errors: ['conflict'],
      handle: ({ caller, params, body }) => clients.update(caller, params.id, body),
      wire: clientWire,
    }),
    route({
      method: 'DELETE',
      path: '/v1/clients/:id',
      summary: 'Delete a client; certificates that were issued for it are revoked',
      permission: 'clients:write',
      audit: 'client.delete',
      params: clientParams,
      response: deletedResponse,
      handle: ({ caller, params }) => clients.delete(caller, params.id),
      wire: () => ({ deleted: true }),
    }),
  ];
}

function ofCredentials(clients: Clients): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/clients/:id/credentials',
      summary: 'List the credentials of a client, that of its own address among them',
      permission: 'clients:read',
      audit: null,
      params: clientParams,
      response: credentialsResponse,
      handle: async ({ caller, params }) =>
        (await clients.credentials.list(caller, params.id)).map(credentialWire),
    }),
    route({
      method: 'POST',
      path: '/v1/clients/:id/credentials',
      summary: 'Give a client an address range or a certificate; the key of an issued one is shown this once',
      permission: 'clients:write',
      audit: 'client_credential.create',
      params: clientParams,
      body: createCredentialBody,
      response: createdCredentialResponse,
      errors: ['conflict', 'tenant_sealed'],
      status: 201,
      noStore: true,
      notReplayed: ['reveal'],
      handle: ({ caller, params, body }) => clients.credentials.create(caller, params.id, body),
      wire: createdCredentialWire,
    }),
    route({
      method: 'PATCH',
      path: '/v1/clients/:id/credentials/:credId',
      summary: 'Switch a credential on or off, or label it',
      permission: 'clients:write',
      audit: 'client_credential.update',
      params: credentialParams,
      body: updateCredentialBody,
      response: credentialResponse,
      errors: ['conflict'],
      handle: ({ caller, params, body }) =>
        clients.credentials.update(caller, params.id, params.credId, body),
      wire: credentialWire,
    }),
    route({
      method: 'DELETE',
      path: '/v1/clients/:id/credentials/:credId',
      summary: 'Delete a credential; a certificate that was issued is revoked',
      permission: 'clients:write',
      audit: 'client_credential.delete',
      params: credentialParams,
      response: deletedResponse,
      handle: ({ caller, params }) => clients.credentials.delete(caller, params.id, params.credId),
      wire: () => ({ deleted: true }),
    }),
  ];
}
