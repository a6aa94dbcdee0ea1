import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { Secret } from '../../kernel/secret.js';

/** Signs and checks JWTs (RFC 7519) with ES256 and nothing else. */
export interface TokenSigner {
  /** RFC 7638 thumbprint of the public key. */
  readonly keyId: string;
  sign(claims: Readonly<Record<string, unknown>>): Promise<string>;
  /** The claims of a token that this key has signed and that has not run out; null for every other text. */
  verify(token: string, nowMs: number): Promise<Readonly<Record<string, unknown>> | null>;
}

const ALGORITHM = 'ES256';
const CURVE = { jose: 'P-256', node: 'prime256v1' };

/** The library is loaded by the first who signs in, not by every start. */
export async function createTokenSigner(privateKey: Secret<Buffer>): Promise<TokenSigner> {
  const { SignJWT, calculateJwkThumbprint, jwtVerify } = await import('jose');
  const signingKey = createPrivateKey({ key: privateKey.reveal(), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(signingKey);
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const keyId = await calculateJwkThumbprint({ kty: 'EC', crv: CURVE.jose, x, y });
  const header = { alg: ALGORITHM, kid: keyId, typ: 'JWT' };

  return {
    keyId,
    sign: (claims) => new SignJWT({ ...claims }).setProtectedHeader(header).sign(signingKey),
    async verify(token, nowMs) {
      const options = {
        algorithms: [ALGORITHM],
        currentDate: new Date(nowMs),
        requiredClaims: ['exp'],
        typ: 'JWT',
      };
      try {
        const { payload, protectedHeader } = await jwtVerify(token, publicKey, options);
        return protectedHeader.kid === keyId ? payload : null;
      } catch {
        return null;
      }
    },
  };
}

/** A new P-256 key as PKCS #8. */
export function newSigningKey(): Secret<Buffer> {
  return derOf(generateKeyPairSync('ec', { namedCurve: CURVE.node }).privateKey);
}

/** A P-256 private key in PEM, PKCS #8 or SEC 1, as PKCS #8; null for anything else. */
export function parseSigningKey(pem: string): Secret<Buffer> | null {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    return null;
  }
  const isP256 = key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === CURVE.node;
  return isP256 ? derOf(key) : null;
}

function derOf(key: KeyObject): Secret<Buffer> {
  return new Secret(key.export({ format: 'der', type: 'pkcs8' }));
}
