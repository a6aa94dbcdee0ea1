import { validationError } from '../../kernel/errors.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import {
  connectionChangesOf,
  connectionResponse,
  connectionWire,
  createConnectionBody,
  createdConnectionResponse,
  newConnectionOf,
  orphansResponse,
  preflightResponse,
  preflightWire,
  rotatedResponse,
  rotateSshKeyBody,
  testConnectionBody,
  updateConnectionBody,
} from './connections/schemas.js';
import { DATABASE_ERRORS } from './errors.js';
import { requireForce } from './force.js';
import { leaseRoutes } from './leases/routes.js';
import { roleRoutes } from './roles/routes.js';
import { connectionParams, deletedResponse, forceQuery, updatedResponse, verifyQuery } from './schemas.js';
import type { DynDb } from './service.js';

const PATH = '/v1/dyn-db-credentials';

export function dynDbRoutes(dynDb: DynDb): RouteDefinition[] {
  return [...connectionRoutes(dynDb), ...databaseRoutes(dynDb), ...roleRoutes(dynDb), ...leaseRoutes(dynDb)];
}

function connectionRoutes(dynDb: DynDb): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: PATH,
      summary: 'List connections',
      permission: 'dyn-db:read',
      audit: null,
      response: connectionResponse.array(),
      handle: async ({ caller }) => (await dynDb.connections.list(caller)).map(connectionWire),
    }),
    route({
      method: 'POST',
      path: PATH,
      summary: 'Register a database',
      permission: 'dyn-db:write',
      audit: 'dyn_db.connection.create',
      query: verifyQuery,
      body: createConnectionBody,
      response: createdConnectionResponse,
      errors: ['conflict', ...DATABASE_ERRORS],
      handle: ({ caller, body, query }) => dynDb.connections.create(caller, newConnectionOf(body), query),
      wire: connectionWire,
    }),
    route({
      method: 'GET',
      path: `${PATH}/:name`,
      summary: 'Read a connection',
      permission: 'dyn-db:read',
      audit: null,
      params: connectionParams,
      response: connectionResponse,
      handle: async ({ caller, params }) => connectionWire(await dynDb.connections.get(caller, params.name)),
    }),
    route({
      method: 'PATCH',
      path: `${PATH}/:name`,
      summary: 'Change a connection',
      permission: 'dyn-db:write',
      audit: 'dyn_db.connection.update',
      params: connectionParams,
      body: updateConnectionBody,
      response: updatedResponse,
      errors: ['tenant_sealed'],
      handle: ({ caller, params, body }) =>
        dynDb.connections.update(caller, params.name, connectionChangesOf(body)),
      wire: (_result, { params }) => ({ updated: params.name }),
    }),
    route({
      method: 'DELETE',
      path: `${PATH}/:name`,
      summary: 'Delete a connection and its roles',
      permission: 'dyn-db:write',
      audit: 'dyn_db.connection.delete',
      params: connectionParams,
      query: forceQuery,
      response: deletedResponse,
      errors: ['conflict'],
      handle: ({ caller, params, query }) => {
        requireForce(caller, query);
        return dynDb.connections.delete(caller, params.name, query);
      },
      wire: (_result, { params }) => ({ deleted: params.name }),
    }),
  ];
}

function databaseRoutes(dynDb: DynDb): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: `${PATH}/:name/rotate-ssh-key`,
      summary: 'Replace the SSH key of a connection',
      permission: 'dyn-db:write',
      // Never done by this version.
      audit: null,
      params: connectionParams,
      body: rotateSshKeyBody,
      response: rotatedResponse,
      async handle({ caller, params }) {
        await dynDb.connections.get(caller, params.name);
        throw validationError('execution_mode', 'must be ssh_tunnel: a direct connection has no SSH key');
      },
    }),
    route({
      method: 'POST',
      path: `${PATH}/:name/rotate-admin-password`,
      summary: 'Give the admin a password that only the server knows',
      permission: 'dyn-db:write',
      audit: 'dyn_db.connection.rotate_admin_password',
      params: connectionParams,
      response: rotatedResponse,
      errors: DATABASE_ERRORS,
      handle: ({ caller, params }) => dynDb.rotateAdminPassword(caller, params.name),
      wire: (_result, { params }) => ({ rotated: params.name }),
    }),
    route({
      method: 'POST',
      path: `${PATH}/:name/test`,
      summary: 'Go to the database step by step, and mint and drop a user of each role',
      permission: 'dyn-db:write',
      audit: 'dyn_db.connection.test',
      params: connectionParams,
      body: testConnectionBody,
      response: preflightResponse,
      errors: ['tenant_sealed'],
      handle: ({ caller, params, body }) => dynDb.connections.test(caller, params.name, body.role),
      wire: preflightWire,
    }),
    route({
      method: 'POST',
      path: '/admin/dyn-db-credentials/test',
      summary: 'Go to a database that is not registered yet, step by step',
      operationId: 'testUnsavedDatabase',
      permission: 'dyn-db:write',
      audit: 'dyn_db.connection.test',
      body: createConnectionBody,
      response: preflightResponse,
      handle: ({ caller, body }) => dynDb.connections.testUnsaved(caller, newConnectionOf(body)),
      wire: preflightWire,
    }),
    route({
      method: 'GET',
      path: `${PATH}/:name/orphans`,
      summary: 'List users in the database that look minted and are of no live lease',
      permission: 'dyn-db:read',
      audit: null,
      params: connectionParams,
      response: orphansResponse,
      errors: DATABASE_ERRORS,
      handle: async ({ caller, params }) => ({
        orphans: [...(await dynDb.leases.orphans(caller, params.name))],
      }),
    }),
  ];
}
