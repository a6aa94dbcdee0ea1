import { certificateDer } from './certificate.js';
import { crlDer } from './crl.js';
import { readCsr } from './csr.js';
import { keyIdOf } from './key-id.js';
import { isOfIssuer, ocspAnswerDer, ocspRefusalDer, readOcspRequest, serialOf } from './ocsp.js';

/** All that needs the ASN.1 library. */
export const encoding = {
  certificateDer,
  crlDer,
  keyIdOf,
  isOfIssuer,
  ocspAnswerDer,
  ocspRefusalDer,
  readCsr,
  readOcspRequest,
  serialOf,
};
export type X509 = typeof encoding;
