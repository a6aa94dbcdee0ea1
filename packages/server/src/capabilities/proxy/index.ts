export type { Exchange } from './call.js';
export { createProxy, type EphemeralProxy, type ProxyDeps } from './service.js';
