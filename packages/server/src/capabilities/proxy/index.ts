export type { Exchange } from './call.js';
export { createFieldActions, type FieldActions } from './field-actions/field-actions.js';
export { KEY_HEADERS } from './pipeline/gateway.js';
export { createHopMarker, type HopMarker } from './pipeline/hop-marker.js';
export type { HostTenants, RouteEntry, RouteExchange } from './pipeline/route/exchange.js';
export { RequestHeaders } from './request-headers.js';
export { passedHeaders } from './response-headers.js';
export {
  createProxy,
  createRouteProxy,
  type EphemeralProxy,
  type ProxyDeps,
  type RouteProxy,
  type RouteProxyDeps,
} from './service.js';
