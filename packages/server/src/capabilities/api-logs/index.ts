export { createLogAnchors, type LogAnchors } from './anchors/service.js';
export type { ApiLog, ApiLogEntry, ClientOrigin } from './api-log.js';
export { createLogExports, type LogExports } from './export/service.js';
export { apiLogJobs } from './jobs.js';
export { apiLogRoutes } from './routes.js';
export { type ApiLogs, type ApiLogsDeps, createApiLogs } from './service.js';
export type { TalliedCalls } from './store.js';
export { apiLogTables, migrations } from './tables.js';
