import type { FastifyPluginAsync } from 'fastify';
import { type RoutesDeps, registerRoutes } from '../../platform/http/register-routes.js';
import type { RouteDefinition } from '../../platform/http/route.js';

export interface ManagementApiDeps extends RoutesDeps {
  readonly routes: readonly RouteDefinition[];
}

/** `/v1`: a scope of its own, so that its JSON parser is not the proxy's. */
export function createManagementApi({ routes, ...deps }: ManagementApiDeps): FastifyPluginAsync {
  return async (scope) => registerRoutes(scope, routes, deps);
}
