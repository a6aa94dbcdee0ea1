import { validationError } from '../../kernel/errors.js';
import type { KeyType } from './tables.js';

export type KeyOperation =
  | 'encrypt'
  | 'decrypt'
  | 'rewrap'
  | 'sign'
  | 'verify'
  | 'jwt'
  | 'webhook-sign'
  | 'public-key'
  | 'portable';

const CIPHER: readonly KeyOperation[] = ['encrypt', 'decrypt', 'rewrap'];
const HMAC: readonly KeyOperation[] = ['sign', 'verify', 'jwt', 'webhook-sign'];
const SIGNATURE: readonly KeyOperation[] = ['sign', 'verify', 'jwt', 'public-key'];
const RSA = [...CIPHER, ...SIGNATURE];

/** clients-pki.md §4.1; `rewrap` of RSA follows from encrypt and decrypt. */
const OPERATIONS: Readonly<Record<KeyType, readonly KeyOperation[]>> = {
  'aes256-gcm': CIPHER,
  'hmac-sha256': HMAC,
  'hmac-sha512': HMAC,
  'rsa-2048': RSA,
  'rsa-3072': RSA,
  'rsa-4096': RSA,
  'ecdsa-p256': SIGNATURE,
  'ecdsa-p384': SIGNATURE,
  ed25519: SIGNATURE,
  'ecdh-p256': ['portable', 'public-key'],
};

/** What it is called in a sentence. */
const NAMES: Readonly<Record<KeyOperation, string>> = {
  encrypt: 'encrypt',
  decrypt: 'decrypt',
  rewrap: 'rewrap',
  sign: 'sign',
  verify: 'verify',
  jwt: 'sign or verify a JWT',
  'webhook-sign': 'sign a webhook',
  'public-key': 'show a public key',
  portable: 'seal portable values',
};

export function canDo(keyType: KeyType, operation: KeyOperation): boolean {
  return OPERATIONS[keyType].includes(operation);
}

/** 400 `validation_error`, of the field that named the key. */
export function assertCan(
  { keyType }: { readonly keyType: KeyType },
  operation: KeyOperation,
  field = 'name',
): void {
  if (!canDo(keyType, operation))
    throw validationError(field, `names a key of type ${keyType}, which cannot ${NAMES[operation]}`);
}
