export { type CertificateTerms, certificateDer } from './certificate.js';
export { crlDer, type RevokedEntry } from './crl.js';
export type { StatusUrls } from './extensions.js';
export { keyIdOf } from './key-id.js';
export { type DistinguishedName, NAME_CHARACTERS_MAX, nameText } from './name.js';
export {
  isOfIssuer,
  type OcspStatus,
  ocspAnswerDer,
  ocspRefusalDer,
  readOcspRequest,
  serialOf,
} from './ocsp.js';
export { pem } from './pem.js';
export type { CrlReason } from './reasons.js';
export type { Sign } from './signer.js';
