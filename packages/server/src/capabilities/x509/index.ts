export type { CertificateTerms } from './certificate.js';
export type { RevokedEntry } from './crl.js';
export type { CertificateRequest } from './csr.js';
export { CsrRefused } from './csr-refused.js';
export type { X509 } from './encoding.js';
export type { AlternativeNames, KeyPurpose, StatusUrls } from './extensions.js';
export { KEY_ALGORITHMS, type KeyAlgorithm } from './key-algorithm.js';
export { loadX509 } from './load.js';
export {
  type DistinguishedName,
  NAME_CHARACTERS_MAX,
  type NameAttribute,
  nameFault,
  nameText,
} from './name.js';
export type { OcspRefusal, OcspStatus } from './ocsp.js';
export { pem } from './pem.js';
export { CRL_REASONS, type CrlReason } from './reasons.js';
export type { Sign } from './signer.js';
