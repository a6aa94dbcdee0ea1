export type { Counts } from './counts.js';
export { analyticsJobs } from './jobs.js';
export { analyticsRoutes } from './routes.js';
export { type Analytics, createAnalytics } from './service.js';
export type { RollupFilter } from './store.js';
export { migrations } from './tables.js';
