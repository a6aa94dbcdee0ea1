import { createPublicKey, type KeyObject } from 'node:crypto';
import { certificateOfDer } from './certificates.js';
import { readPublicJwk, thumbprintOf } from './jwk.js';

/** RFC 7638, of a SubjectPublicKeyInfo in DER; null for a key that signs no JWS here. */
export function thumbprintOfSpki(spki: Buffer): string | null {
  return thumbprintOfKey(() => createPublicKey({ key: spki, format: 'der', type: 'spki' }));
}

/** A certificate that somebody has sent: what it is looked up by, and whose key it is of. Null for what is no DER of one. */
export function namesOfCertificate(
  der: Buffer,
): { readonly serial: string; readonly keyThumbprint: string | null } | null {
  const certificate = certificateOfDer(der);
  if (!certificate) return null;
  const serial = certificate.serialNumber.toLowerCase();
  return { serial, keyThumbprint: thumbprintOfKey(() => certificate.publicKey) };
}

function thumbprintOfKey(read: () => KeyObject): string | null {
  try {
    return thumbprintOf(readPublicJwk(read().export({ format: 'jwk' })));
  } catch {
    // Of a kind or a size that no JWS is verified with here, or none at all.
    return null;
  }
}
