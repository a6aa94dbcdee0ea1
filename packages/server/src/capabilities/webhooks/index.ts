export { retryDelayMs } from './deliveries/retry.js';
export { envelopeColumns } from './envelope-columns.js';
export type { CallEvents, CallInterest } from './feeds/call-events.js';
export type { CallData } from './feeds/call-store.js';
export { webhookJobs } from './jobs.js';
export { webhookRoutes } from './routes.js';
export { migrations } from './tables.js';
export { createWebhooks, type Webhooks } from './webhooks.js';
