import { X509Certificate } from 'node:crypto';

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** SHA-256 fingerprints of the certificates in a PEM text; null where it holds none or one that cannot be read. */
export function certificateFingerprints(pem: string): readonly string[] | null {
  const blocks = pem.match(PEM_BLOCK) ?? [];
  // Anything but certificates, such as a key that was pasted along, has no place there.
  if (blocks.length === 0 || /-----BEGIN/.test(pem.replace(PEM_BLOCK, ''))) return null;
  try {
    return blocks.map((block) => new X509Certificate(block).fingerprint256);
  } catch {
    return null;
  }
}
