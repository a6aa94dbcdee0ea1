export { analyticsJobs } from './jobs.js';
export { analyticsRoutes } from './routes.js';
export { type Analytics, createAnalytics } from './service.js';
export { migrations } from './tables.js';
