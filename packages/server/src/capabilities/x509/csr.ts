import type { DistinguishedName } from './name.js';

/** What a certificate signing request (RFC 2986) asks for, once its own signature was verified. */
export interface CertificateRequest {
  /** Of its attributes those that are known; null where it has none. */
  readonly subject: DistinguishedName | null;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Buffer;
  /** As they stand there: of whatever case. */
  readonly dns: readonly string[];
  readonly ips: readonly string[];
  /** Alternative names of other kinds, as `uri:urn:a`. */
  readonly others: readonly string[];
}

/** Of DER, or of a PEM text. Throws `CsrRefused`. */
export function readCsr(_request: Buffer | string): CertificateRequest {
  throw new Error('not there yet');
}
