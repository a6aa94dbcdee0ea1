import { createHash, createSign, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';

interface CreationOptions {
  readonly challenge: string;
  readonly rp: { readonly id?: string };
  readonly user: { readonly id: string };
}

interface RequestOptions {
  readonly challenge: string;
  readonly rpId?: string;
}

/** How this authenticator differs from an honest one that verifies its user. */
export interface Ceremony {
  readonly origin?: string;
  readonly rpId?: string;
  readonly counter?: number;
  readonly isVerified?: boolean;
  readonly challenge?: string;
  readonly type?: string;
  readonly userHandle?: string;
}

/** An authenticator in software, with what browsers add around it (WebAuthn level 3 §6, §5.1). */
export interface SoftPasskey {
  readonly credentialId: string;
  create(options: CreationOptions, ceremony?: Ceremony): object;
  get(options: RequestOptions, ceremony?: Ceremony): object;
}

export const PASSKEY_ORIGIN = 'http://localhost:8787';

const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;
const MAY_BE_BACKED_UP = 0x08;
const HAS_CREDENTIAL = 0x40;

/** `isSynced`: one that a password manager carries from device to device. */
export function createSoftPasskey({ isSynced = false } = {}): SoftPasskey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const id = randomBytes(32);
  const credentialId = id.toString('base64url');
  let counter = 0;
  let userHandle = '';

  function authenticatorData(
    rpId: string,
    { isVerified = true, ...ceremony }: Ceremony,
    credential?: Buffer,
  ) {
    counter = ceremony.counter ?? counter + 1;
    const flags =
      USER_PRESENT |
      (isVerified ? USER_VERIFIED : 0) |
      (isSynced ? MAY_BE_BACKED_UP : 0) |
      (credential ? HAS_CREDENTIAL : 0);
    const count = Buffer.alloc(4);
    count.writeUInt32BE(counter);
    const parts = [sha256(ceremony.rpId ?? rpId), Buffer.of(flags), count];
    return Buffer.concat(credential ? [...parts, credential] : parts);
  }

  function clientData(type: string, challenge: string, ceremony: Ceremony): Buffer {
    const data = {
      type: ceremony.type ?? type,
      challenge: ceremony.challenge ?? challenge,
      origin: ceremony.origin ?? PASSKEY_ORIGIN,
      crossOrigin: false,
    };
    return Buffer.from(JSON.stringify(data));
  }

  const around = {
    id: credentialId,
    rawId: credentialId,
    type: 'public-key',
    clientExtensionResults: {},
    authenticatorAttachment: 'platform',
  };

  return {
    credentialId,

    create({ challenge, rp, user }, ceremony = {}) {
      userHandle = user.id;
      const idLength = Buffer.alloc(2);
      idLength.writeUInt16BE(id.length);
      const credential = Buffer.concat([Buffer.alloc(16), idLength, id, coseOf(publicKey)]);
      const data = authenticatorData(rp.id ?? '', ceremony, credential);
      const attestation = Buffer.concat([
        Buffer.of(0xa3),
        text('fmt'),
        text('none'),
        text('attStmt'),
        Buffer.of(0xa0),
        text('authData'),
        bytes(data),
      ]);
      return {
        ...around,
        response: {
          clientDataJSON: clientData('webauthn.create', challenge, ceremony).toString('base64url'),
          attestationObject: attestation.toString('base64url'),
          authenticatorData: data.toString('base64url'),
          transports: ['internal'],
          publicKeyAlgorithm: -7,
          publicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64url'),
        },
      };
    },

    get({ challenge, rpId = '' }, ceremony = {}) {
      const data = authenticatorData(rpId, ceremony);
      const client = clientData('webauthn.get', challenge, ceremony);
      const signature = createSign('sha256').update(data).update(sha256(client)).sign(privateKey);
      return {
        ...around,
        response: {
          clientDataJSON: client.toString('base64url'),
          authenticatorData: data.toString('base64url'),
          signature: signature.toString('base64url'),
          userHandle: ceremony.userHandle ?? (userHandle || null),
        },
      };
    },
  };
}

function sha256(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}

/** CBOR (RFC 8949 §3.1), as far as is needed. */
function text(value: string): Buffer {
  return Buffer.concat([Buffer.of(0x60 + value.length), Buffer.from(value)]);
}

function bytes(value: Buffer): Buffer {
  return Buffer.concat([Buffer.of(0x59, value.length >> 8, value.length & 0xff), value]);
}

/** RFC 9052 §7: `{kty: EC2, alg: ES256, crv: P-256, x, y}`. */
function coseOf(key: KeyObject): Buffer {
  const { x = '', y = '' } = key.export({ format: 'jwk' });
  const coordinate = (value: string) => Buffer.concat([Buffer.of(0x58, 32), Buffer.from(value, 'base64url')]);
  return Buffer.concat([
    Buffer.of(0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21),
    coordinate(x),
    Buffer.of(0x22),
    coordinate(y),
  ]);
}
