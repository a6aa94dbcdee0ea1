import type { FastifyPluginAsync } from 'fastify';
import { type Mount, mountedRoutes } from '../../platform/http/mounts.js';
import { type RoutesDeps, registerRoutes } from '../../platform/http/register-routes.js';
import type { RouteDefinition } from '../../platform/http/route.js';

export interface ManagementApiDeps extends RoutesDeps {
  readonly routes: readonly RouteDefinition[];
  readonly mount: Mount;
}

/** The definitions at one of their mounts: a scope of its own, so that its JSON parser is not the proxy's. */
export function createManagementApi({ routes, mount, ...deps }: ManagementApiDeps): FastifyPluginAsync {
  const mounted = mountedRoutes(routes).filter((route) => route.mount === mount);
  return async (scope) => registerRoutes(scope, mounted, deps);
}
