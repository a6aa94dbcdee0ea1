import type { X509 } from './encoding.js';

/**
 * Loaded by the first certificate, list or OCSP answer, not by every start: the ASN.1 library takes some 20 ms and 1 MiB. Never
 * inside a transaction.
 */
export async function loadX509(): Promise<X509> {
  const { encoding } = await import('./encoding.js');
  return encoding;
}
