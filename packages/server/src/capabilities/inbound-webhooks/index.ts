export type { InboundEntry } from './entry.js';
export { envelopeColumns } from './envelope-columns.js';
export { createInboundWebhooks, type InboundWebhooks } from './inbound-webhooks.js';
export { inboundWebhookJobs } from './jobs.js';
export { inboundWebhookRoutes } from './routes.js';
export { migrations } from './tables.js';
