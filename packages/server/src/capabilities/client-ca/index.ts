export type { CertifiedClient, ClientCa, PreparedCertificate, RevocationReason } from './client-ca.js';
