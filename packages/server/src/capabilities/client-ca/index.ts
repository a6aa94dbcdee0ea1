export type { CertifiedClient, ClientCa, PreparedCertificate, RevocationReason } from './client-ca.js';
export { type ClientCaDeps, createClientCa } from './service.js';
export { CLIENT_ROOT_NAME } from './terms.js';
