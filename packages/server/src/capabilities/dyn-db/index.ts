export type { Engines } from './connections/databases.js';
export { envelopeColumns } from './envelope-columns.js';
export { dynDbJobs } from './jobs.js';
export { createEngines } from './providers/index.js';
export { dynDbRoutes } from './routes.js';
export { createDynDb, type DynDb } from './service.js';
export { migrations } from './tables.js';
export type { Transports } from './transports/transport.js';
