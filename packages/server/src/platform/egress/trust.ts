import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';

/**
 * Whom upstreams must be vouched for by: the roots that come with Node, and KNOX_EXTRA_CA_FILE. Given explicitly, the
 * list is not changed by NODE_EXTRA_CA_CERTS, SSL_CERT_FILE or --use-system-ca, and the lowest version not by
 * --tls-min-v1.0. Made once: parsing the roots takes milliseconds.
 */
export function createTrust(extraCaPem: string | null): SecureContext {
  return createSecureContext({ ca: trustedAuthorities(extraCaPem), minVersion: 'TLSv1.2' });
}

export function trustedAuthorities(extraCaPem: string | null): string[] {
  return extraCaPem === null ? [...rootCertificates] : [...rootCertificates, extraCaPem];
}
