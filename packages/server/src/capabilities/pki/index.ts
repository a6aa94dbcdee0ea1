export type { AcmeCertificate, AcmeRole, PkiIssuing } from './acme-issuing.js';
export type { CaRole } from './roles.js';
