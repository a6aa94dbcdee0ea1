import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { AppError } from '../../kernel/errors.js';
import { createLine } from '../../kernel/line.js';

const generate = promisify(generateKeyPair);
const RSA_EXPONENT = 0x10001;

/** Half of the threads that the process has for files, names, passwords and keys; one line, as they are one pool. */
const RSA_AT_ONCE_MAX = 2;
const RSA_WAITING_MAX = 500;
/** So that one tenant leaves room for others. */
const RSA_OWNER_WAITING_MAX = 10;
const RETRY_SECONDS = 5;
const rsaLine = createLine({
  atOnceMax: RSA_AT_ONCE_MAX,
  waitingMax: RSA_WAITING_MAX,
  ownerWaitingMax: RSA_OWNER_WAITING_MAX,
  refusal: () =>
    new AppError('dependency_unavailable', 'Too many RSA keys are being made at once', {
      dependency: 'keys',
      retryAfterSeconds: RETRY_SECONDS,
    }),
});

export const KEY_PAIR_KINDS = [
  'ecdsa-p256',
  'ecdsa-p384',
  'ed25519',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
] as const;
export type KeyPairKind = (typeof KEY_PAIR_KINDS)[number];

export interface KeyPair {
  /** PKCS #8 in DER; whoever asked for it zeroes it. */
  readonly privateKey: Buffer;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Buffer;
}

/**
 * Made in a thread: RSA with 4096 bits takes a second and more, so that it waits in a line, in which owners (tenants) take
 * turns, and 503 beyond its end.
 */
export async function newKeyPair(kind: KeyPairKind, owner: string): Promise<KeyPair> {
  const { privateKey, publicKey } = await generatorOf(kind, owner);
  return {
    privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }),
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
  };
}

function generatorOf(kind: KeyPairKind, owner: string) {
  switch (kind) {
    case 'ecdsa-p256':
      return generate('ec', { namedCurve: 'prime256v1' });
    case 'ecdsa-p384':
      return generate('ec', { namedCurve: 'secp384r1' });
    case 'ed25519':
      return generate('ed25519');
    default:
      return rsaLine.inTurn(
        () =>
          generate('rsa', {
            modulusLength: Number(kind.slice('rsa-'.length)),
            publicExponent: RSA_EXPONENT,
          }),
        owner,
      );
  }
}
