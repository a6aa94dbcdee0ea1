export { createRoutes, type Routes } from './composition.js';
export { createInterceptedRoutes, type InterceptedRoutes } from './intercepted.js';
export { routeRoutes } from './routes.js';
export {
  createRouteEgressUser,
  createRouteEnvironments,
  createRouteNames,
  createRouteSecretUser,
  type RouteNames,
} from './seams.js';
export type { RouteHolder } from './service.js';
export { isReservedSlug } from './slug.js';
export { migrations } from './tables.js';
export type {
  CallableRoute,
  FieldAction,
  JsonObject,
  RouteEnvironment,
  RoutePlace,
  RouteRateLimit,
  RouteSettings,
  RouteTable,
} from './types.js';
