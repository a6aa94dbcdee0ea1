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
  PreparedCertificate,
  PreparedRoot,
  Revocation,
} from './authorities.js';
export type { OcspReply } from './ocsp.js';
export { type AuthoritiesDeps, createAuthorities } from './service.js';
