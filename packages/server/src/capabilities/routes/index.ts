export { createRoutes, type Routes } from './composition.js';
export { createInterceptedRoutes, type InterceptedRoutes } from './intercepted.js';
export { routeRoutes } from './routes.js';
export {
  createRouteEgressUser,
  createRouteEnvironments,
  createRouteNames,
  createRouteSecretUser,
} from './seams.js';
export { isReservedSlug } from './slug.js';
export { migrations } from './tables.js';
export type {
  CallableRoute,
  FieldAction,
  JsonObject,
  RouteEnvironment,
  RouteRateLimit,
  RouteSettings,
  RouteTable,
} from './types.js';
