export { acmeClientRoutes } from './clients/routes.js';
export type { AcmeAnswer } from './endpoints.js';
export { envelopeColumns } from './envelope-columns.js';
export { acmeJobs } from './jobs.js';
export { acmeKeyRoutes } from './keys/routes.js';
export { AcmeProblem } from './problems.js';
export { type Acme, type AcmeDeps, createAcme } from './service.js';
export { migrations } from './tables.js';
export { type AcmeUrls, acmeUrls, type DirectoryPath, isDirectoryPath } from './urls.js';
