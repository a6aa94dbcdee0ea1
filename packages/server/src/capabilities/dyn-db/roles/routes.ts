import { type RouteDefinition, route } from '../../../platform/http/route.js';
import { requireForce } from '../force.js';
import {
  connectionParams,
  deletedResponse,
  forceQuery,
  roleParams,
  updatedResponse,
  verifyQuery,
} from '../schemas.js';
import {
  createdRoleResponse,
  createdRoleWire,
  createRoleBody,
  newRoleOf,
  roleChangesOf,
  roleResponse,
  roleWire,
  updateRoleBody,
} from './schemas.js';
import type { Roles } from './service.js';

const PATH = '/v1/dyn-db-credentials/:name/roles';

export function roleRoutes(dynDb: { readonly roles: Roles }): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: PATH,
      summary: 'List the roles of a connection',
      permission: 'dyn-db:read',
      audit: null,
      params: connectionParams,
      response: roleResponse.array(),
      handle: async ({ caller, params }) => (await dynDb.roles.list(caller, params.name)).map(roleWire),
    }),
    route({
      method: 'POST',
      path: PATH,
      summary: 'Register a role: what its users are made of, and how they go',
      permission: 'dyn-db:write',
      audit: 'dyn_db.role.create',
      params: connectionParams,
      query: verifyQuery,
      body: createRoleBody,
      response: createdRoleResponse,
      errors: ['conflict', 'database_error', 'dependency_unavailable', 'ssrf_blocked', 'tenant_sealed'],
      handle: ({ caller, params, query, body }) =>
        dynDb.roles.create(caller, params.name, newRoleOf(body), query),
      wire: createdRoleWire,
    }),
    route({
      method: 'GET',
      path: `${PATH}/:role`,
      summary: 'Read a role',
      permission: 'dyn-db:read',
      audit: null,
      params: roleParams,
      response: roleResponse,
      handle: async ({ caller, params }) => roleWire(await dynDb.roles.get(caller, params.name, params.role)),
    }),
    route({
      method: 'PATCH',
      path: `${PATH}/:role`,
      summary: 'Change a role, for mints from now on',
      permission: 'dyn-db:write',
      audit: 'dyn_db.role.update',
      params: roleParams,
      body: updateRoleBody,
      response: updatedResponse,
      handle: ({ caller, params, body }) =>
        dynDb.roles.update(caller, params.name, params.role, roleChangesOf(body)),
      wire: (_result, { params }) => ({ updated: params.role }),
    }),
    route({
      method: 'DELETE',
      path: `${PATH}/:role`,
      summary: 'Delete a role',
      permission: 'dyn-db:write',
      audit: 'dyn_db.role.delete',
      params: roleParams,
      query: forceQuery,
      response: deletedResponse,
      errors: ['conflict'],
      handle: ({ caller, params, query }) => {
        requireForce(caller, query);
        return dynDb.roles.delete(caller, params.name, params.role, query);
      },
      wire: (_result, { params }) => ({ deleted: params.role }),
    }),
  ];
}
