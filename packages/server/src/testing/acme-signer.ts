import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export interface FlattenedText {
  readonly protected: string;
  readonly payload: string;
  readonly signature: string;
}

/** Makes JWS as ACME clients send them, and as no client would. */
export interface AcmeSigner {
  readonly jwk: Readonly<Record<string, string>>;
  readonly privateKey: KeyObject;
  /** `payload`: an object, a text as it is, or nothing at all (POST-as-GET). */
  sign(header: Readonly<Record<string, unknown>>, payload: unknown): FlattenedText;
  /** HMAC with the public key as its secret. */
  signWithMac(alg: string, header: Readonly<Record<string, unknown>>, payload: unknown): FlattenedText;
}

const KINDS: Readonly<
  Record<string, { make(): { publicKey: KeyObject; privateKey: KeyObject }; hash: string | null }>
> = {
  ES256: { make: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }), hash: 'sha256' },
  ES384: { make: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }), hash: 'sha384' },
  RS256: { make: () => generateKeyPairSync('rsa', { modulusLength: 2048 }), hash: 'sha256' },
  EdDSA: { make: () => generateKeyPairSync('ed25519'), hash: null },
};

export function createAcmeSigner(alg: string): AcmeSigner {
  const { make, hash } = KINDS[alg]!;
  const { publicKey, privateKey } = make();
  const jwk = publicKey.export({ format: 'jwk' }) as Record<string, string>;
  return {
    jwk,
    privateKey,
    sign: (header, payload) =>
      flattened({ alg, ...header }, payload, (message) =>
        sign(hash, message, { key: privateKey, dsaEncoding: 'ieee-p1363' }),
      ),
    signWithMac: (macAlg, header, payload) =>
      flattened({ alg: macAlg, ...header }, payload, (message) =>
        createHmac('sha256', publicKey.export({ format: 'pem', type: 'spki' }))
          .update(message)
          .digest(),
      ),
  };
}

/** RFC 8555 §7.3.4: the account key, signed with a key of the management API. */
export function externalBinding(
  key: { readonly kid: string; readonly hmacKey: string },
  url: string,
  jwk: unknown,
  header: Readonly<Record<string, unknown>> = {},
): FlattenedText {
  const secret = Buffer.from(key.hmacKey, 'base64url');
  return flattened({ alg: 'HS256', kid: key.kid, url, ...header }, jwk, (message) =>
    createHmac('sha256', secret).update(message).digest(),
  );
}

function flattened(
  header: unknown,
  payload: unknown,
  signatureOf: (message: Buffer) => Buffer,
): FlattenedText {
  const protectedText = base64Url(JSON.stringify(header));
  const payloadText =
    payload === undefined ? '' : base64Url(typeof payload === 'string' ? payload : JSON.stringify(payload));
  const signature = signatureOf(Buffer.from(`${protectedText}.${payloadText}`));
  return { protected: protectedText, payload: payloadText, signature: signature.toString('base64url') };
}

function base64Url(text: string): string {
  return Buffer.from(text).toString('base64url');
}
