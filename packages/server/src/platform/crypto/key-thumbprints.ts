import { certificateOfDer } from './certificates.js';
import { readPublicJwk, thumbprintOf } from './jwk.js';
import { publicJwkOf } from './public-keys.js';

/** RFC 7638, of a SubjectPublicKeyInfo in DER; null for a key that signs no JWS here. */
export function thumbprintOfSpki(spki: Buffer): string | null {
  return thumbprintOfKey(() => spki);
}

function thumbprintOfKey(spki: () => Buffer): string | null {
  try {
    return thumbprintOf(readPublicJwk(publicJwkOf(spki())));
  } catch {
    // Of a kind or a size that no JWS is verified with, or none at all.
    return null;
  }
}

/** A certificate that somebody has sent: what it is looked up by, and whose key it is of. Null for what is no DER of one. */
export function namesOfCertificate(
  der: Buffer,
): { readonly serial: string; readonly keyThumbprint: string | null } | null {
  const certificate = certificateOfDer(der);
  if (!certificate) return null;
  const spki = () => certificate.publicKey.export({ format: 'der', type: 'spki' });
  return { serial: certificate.serialNumber.toLowerCase(), keyThumbprint: thumbprintOfKey(spki) };
}
