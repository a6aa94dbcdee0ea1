import { createPrivateKey, createPublicKey, sign } from 'node:crypto';

/** ECDSA over P-256 with SHA-256, the signature as a DER sequence of r and s (RFC 3279 §2.2.3). The key is PKCS #8 in DER. */
export function signEcdsa(privateKey: Buffer, message: Buffer): Buffer {
  return sign('sha256', message, createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' }));
}

/** Its public half as SubjectPublicKeyInfo in DER. */
export function publicKeyOf(privateKey: Buffer): Buffer {
  const key = createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' });
  return createPublicKey(key).export({ format: 'der', type: 'spki' });
}
