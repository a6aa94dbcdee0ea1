import {
  createHash,
  generateKeyPairSync,
  type KeyObject,
  constants as padding,
  randomUUID,
  sign,
} from 'node:crypto';

/** Makes proofs of RFC 9449 that a client would make, and all those that none should. */
export interface ProofMaker {
  readonly alg: string;
  readonly publicJwk: Record<string, unknown>;
  readonly privateKey: KeyObject;
  /** A good proof unless something is changed; `undefined` leaves a member out. */
  make(claims: Record<string, unknown>, changes?: ProofChanges): string;
}

export interface ProofChanges {
  readonly header?: Record<string, unknown>;
  /** In place of the JSON of the header or of the payload. */
  readonly headerText?: string | Buffer;
  readonly payloadText?: string | Buffer;
  readonly signature?: (signed: Buffer) => Buffer;
}

const KEYS: Record<string, () => { publicKey: KeyObject; privateKey: KeyObject }> = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
  Ed25519: () => generateKeyPairSync('ed25519'),
  PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
};

export function createProofMaker(alg = 'ES256', keys = KEYS[alg]?.()): ProofMaker {
  if (!keys) throw new Error(`no key is made for ${alg}`);
  const { publicKey, privateKey } = keys;
  const publicJwk = publicKey.export({ format: 'jwk' }) as Record<string, unknown>;
  return {
    alg,
    publicJwk,
    privateKey,
    make(claims, { header, headerText, payloadText, signature } = {}) {
      const head = headerText ?? JSON.stringify({ alg, typ: 'dpop+jwt', jwk: publicJwk, ...header });
      const payload = payloadText ?? JSON.stringify({ jti: randomUUID(), ...claims });
      const signed = `${base64Url(head)}.${base64Url(payload)}`;
      const bytes = (signature ?? ((message) => signProof(alg, privateKey, message)))(Buffer.from(signed));
      return `${signed}.${base64Url(bytes)}`;
    },
  };
}

function signProof(alg: string, key: KeyObject, message: Buffer): Buffer {
  switch (alg) {
    case 'EdDSA':
    case 'Ed25519':
      return sign(null, message, key);
    case 'PS256':
      return sign('sha256', message, { key, padding: padding.RSA_PKCS1_PSS_PADDING, saltLength: 32 });
    case 'RS256':
      return sign('sha256', message, key);
    default:
      return sign(alg === 'ES384' ? 'sha384' : 'sha256', message, { key, dsaEncoding: 'ieee-p1363' });
  }
}

export function base64Url(bytes: string | Buffer): string {
  return Buffer.from(bytes).toString('base64url');
}

export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}
