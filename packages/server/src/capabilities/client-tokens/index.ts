export { clientTokenJobs } from './jobs.js';
export { type ClientTokenRoutesDeps, clientTokenRoutes } from './routes.js';
export { type ClientTokens, type ClientTokensDeps, createClientTokens } from './service.js';
export { migrations } from './tables.js';
