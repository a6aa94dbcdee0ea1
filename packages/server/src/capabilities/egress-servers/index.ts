export type { EgressChain } from './chains.js';
export { envelopeColumns } from './envelope-columns.js';
export type { MovedCalls, RequiredPermissions } from './moving.js';
export { egressServerRoutes } from './routes.js';
export { createEgressServers, type EgressServers, type EgressServerUser } from './service.js';
export { migrations } from './tables.js';
