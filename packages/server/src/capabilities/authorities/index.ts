export { authorityEntry } from './audit.js';
export type {
  Authorities,
  Authority,
  AuthorityLives,
  AuthorityStatus,
  CertificateQuery,
  CertificateRole,
  CertificateState,
  Ending,
  EndingQuery,
  IssuedCertificate,
  LeafTerms,
  NewRoot,
  OcspReply,
  PreparedCertificate,
  PreparedRoot,
  Revocation,
} from './authorities.js';
export { envelopeColumns } from './envelope-columns.js';
export { authorityJobs } from './jobs.js';
export { type AuthoritiesDeps, createAuthorities } from './service.js';
export { migrations } from './tables.js';
