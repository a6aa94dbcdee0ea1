import type { FastifyPluginAsync } from 'fastify';
import type { AuthenticateCaller } from '../../platform/http/caller.js';
import { registerRoutes } from '../../platform/http/register-routes.js';
import type { RouteDefinition } from '../../platform/http/route.js';

export interface ManagementApiDeps {
  readonly routes: readonly RouteDefinition[];
  readonly authenticate: AuthenticateCaller;
}

/** `/v1`: a scope of its own, so that its JSON parser is not the proxy's. */
export function createManagementApi({ routes, authenticate }: ManagementApiDeps): FastifyPluginAsync {
  return async (scope) => registerRoutes(scope, routes, authenticate);
}
