export { egressAllowlistRoutes } from './routes.js';
export { createEgressAllowlist, type EgressAllowlist } from './service.js';
export { migrations } from './tables.js';
