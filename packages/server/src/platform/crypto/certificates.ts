import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** What a certificate says of itself, whoever signed it. */
export interface CertificateFacts {
  /** 64 lower-case hex digits: SHA-256 of the DER. */
  readonly sha256Thumbprint: string;
  /** Milliseconds since the epoch. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Beyond a leaf and its issuers: the caller chooses them, and each costs a verification. */
const CHAIN_CERTIFICATES_MAX = 10;

/** SHA-256 fingerprints of the certificates in a PEM text; null where it holds none or one that cannot be read. */
export function certificateFingerprints(pem: string): readonly string[] | null {
  return certificatesOf(pem)?.map(({ fingerprint256 }) => fingerprint256) ?? null;
}

/** Null where its dates cannot be read: without them it would never end. */
export function factsOf(certificate: X509Certificate): CertificateFacts | null {
  const notBeforeMs = Date.parse(certificate.validFrom);
  const notAfterMs = Date.parse(certificate.validTo);
  if (Number.isNaN(notBeforeMs) || Number.isNaN(notAfterMs)) return null;
  const sha256Thumbprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
  return { sha256Thumbprint, notBeforeMs, notAfterMs };
}

/** Of a PEM text, which may hold the chain of the first one as well; null where it holds anything else. */
export function factsOfPem(pem: string): CertificateFacts | null {
  const certificates = certificatesOf(pem);
  return certificates && factsOfChain(certificates);
}

/** The same of the DER of each. */
export function factsOfDer(chain: readonly Buffer[]): CertificateFacts | null {
  const certificates = chain.map(certificateOfDer);
  return certificates.every((certificate) => certificate !== null) ? factsOfChain(certificates) : null;
}

/** Each must have signed the one before it: of certificates that were merely put in one list, none is the caller's. */
function factsOfChain(certificates: readonly X509Certificate[]): CertificateFacts | null {
  if (certificates.length > CHAIN_CERTIFICATES_MAX) return null;
  const isChain = certificates.every((certificate, i) => {
    const issuer = certificates[i + 1];
    return !issuer || (certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey));
  });
  return isChain && certificates[0] ? factsOf(certificates[0]) : null;
}

function certificatesOf(pem: string): X509Certificate[] | null {
  const blocks = pem.match(PEM_BLOCK) ?? [];
  // Anything but certificates, such as a key that was pasted along, has no place there.
  if (blocks.length === 0 || /-----BEGIN/.test(pem.replace(PEM_BLOCK, ''))) return null;
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return null;
  }
}

export function certificateOfDer(der: Buffer): X509Certificate | null {
  try {
    const certificate = new X509Certificate(der);
    // It reads PEM as well, and what follows the DER it does not see.
    return certificate.raw.equals(der) ? certificate : null;
  } catch {
    return null;
  }
}

/** What a server shows, and the key to it. */
export type ServerCertificateProblem =
  | { readonly of: 'certificate'; readonly rule: string }
  | { readonly of: 'key'; readonly rule: string };

/** Facts of the certificate that stands first, or why the two do not serve a listener. */
export function checkServerCertificate(
  certificatePem: string,
  keyPem: string,
): CertificateFacts | ServerCertificateProblem {
  const [leaf] = certificatesOf(certificatePem) ?? [];
  const facts = leaf ? factsOf(leaf) : null;
  if (!leaf || !facts)
    return { of: 'certificate', rule: 'holds no PEM certificate, or more than certificates' };
  const key = privateKeyOf(keyPem);
  if (typeof key === 'string') return { of: 'key', rule: key };
  if (!leaf.checkPrivateKey(key))
    return { of: 'key', rule: 'is not the key of the certificate that stands first' };
  return facts;
}

function privateKeyOf(pem: string): KeyObject | string {
  try {
    return createPrivateKey(pem);
  } catch {
    return pem.includes('ENCRYPTED')
      ? 'is a key with a passphrase; one without is needed'
      : 'holds no private key in PEM';
  }
}
