export type { AdmittedCall } from './gateway.js';
export { wrapJobs } from './jobs.js';
export { createInterceptManifest } from './manifest/service.js';
export { wrapRoutes } from './routes.js';
export { createWrap, createWrapSecretUser, type Wrap } from './service.js';
export { migrations } from './tables.js';
