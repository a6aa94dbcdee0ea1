export type { AcmeCertificate, AcmeRole, PkiIssuing } from './acme-issuing.js';
export { requireIssuing } from './issuing-right.js';
export { pkiJobs } from './jobs.js';
export type { CaRole } from './roles.js';
export { pkiRoutes } from './routes.js';
export { createPki, type Pki } from './service.js';
export { migrations } from './tables.js';
