import { type RouteDefinition, route } from '../../platform/http/route.js';
import {
  createEnvironmentBody,
  deletedResponse,
  environmentParams,
  environmentResponse,
  environmentRowWire,
  environmentsResponse,
  environmentWire,
  updateEnvironmentBody,
} from './schemas.js';
import type { Environments } from './service.js';

export function environmentRoutes(environments: Environments): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/environments',
      summary: 'List environments',
      permission: 'environments:read',
      audit: null,
      response: environmentsResponse,
      handle: async ({ caller }) => (await environments.list(caller)).map(environmentRowWire),
    }),
    route({
      method: 'POST',
      path: '/v1/environments',
      summary: 'Make an environment',
      permission: 'environments:write',
      audit: 'environment.create',
      body: createEnvironmentBody,
      response: environmentResponse,
      errors: ['plan_limit', 'conflict'],
      status: 201,
      handle: ({ caller, body }) => environments.create(caller, body),
      wire: environmentWire,
    }),
    route({
      method: 'PATCH',
      path: '/v1/environments/:id',
      summary: 'Change an environment; what refers to it follows its name',
      permission: 'environments:write',
      audit: 'environment.update',
      params: environmentParams,
      body: updateEnvironmentBody,
      response: environmentResponse,
      errors: ['conflict'],
      handle: ({ caller, params, body }) => environments.update(caller, params.id, body),
      wire: environmentWire,
    }),
    route({
      method: 'DELETE',
      path: '/v1/environments/:id',
      summary: 'Delete an environment, with the values that secrets have in it',
      permission: 'environments:write',
      audit: 'environment.delete',
      params: environmentParams,
      response: deletedResponse,
      errors: ['conflict'],
      handle: ({ caller, params }) => environments.delete(caller, params.id),
      wire: () => ({ deleted: true }),
    }),
  ];
}
