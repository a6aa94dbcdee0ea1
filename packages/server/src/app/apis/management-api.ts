import type { FastifyPluginAsync } from 'fastify';
import type { CallerSteps } from '../../platform/http/caller.js';
import { type Mount, mountedRoutes } from '../../platform/http/mounts.js';
import { registerRoutes } from '../../platform/http/register-routes.js';
import type { RouteDefinition } from '../../platform/http/route.js';

export interface ManagementApiDeps {
  readonly routes: readonly RouteDefinition[];
  readonly mount: Mount;
  readonly steps: CallerSteps;
}

/** The definitions at one of their mounts: a scope of its own, so that its JSON parser is not the proxy's. */
export function createManagementApi({ routes, mount, steps }: ManagementApiDeps): FastifyPluginAsync {
  const mounted = mountedRoutes(routes).filter((route) => route.mount === mount);
  return async (scope) => registerRoutes(scope, mounted, steps);
}
