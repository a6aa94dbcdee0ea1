export type { CertifiedClient, ClientCa, PreparedCertificate, RevocationReason } from './client-ca.js';
export { envelopeColumns } from './envelope-columns.js';
export { clientCaJobs } from './jobs.js';
export { clientCaRoutes } from './routes.js';
export { type ClientAuthorities, createClientAuthorities } from './service.js';
export { migrations } from './tables.js';
export { CLIENT_ROOT_NAME } from './terms.js';
