export { type Alerts, createAlerts } from './alerts.js';
export { envelopeColumns } from './envelope-columns.js';
export { alertJobs } from './jobs.js';
export { alertRoutes } from './routes.js';
export { migrations } from './tables.js';
