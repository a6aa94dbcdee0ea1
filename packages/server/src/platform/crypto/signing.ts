import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { assert } from '../../kernel/assert.js';
import { KEY_BYTES } from './authenticated-cipher.js';
import { sha256Hex } from './hashing.js';

/** What stands before the 32 bytes of an Ed25519 key in PKCS #8 and in SPKI (RFC 8410 §4, §7). */
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const KEY_ID_CHARACTERS = 16;

/** Signs with Ed25519 (RFC 8032); the public key is its 32 bytes. */
export interface Signer {
  readonly keyId: string;
  readonly publicKey: Buffer;
  sign(message: Buffer): Buffer;
}

export function createSigner(seed: Buffer): Signer {
  assert(seed.length === KEY_BYTES, 'seed length');
  const der = Buffer.concat([PRIVATE_PREFIX, seed]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-KEY_BYTES);
  return { keyId: keyIdOf(publicKey), publicKey, sign: (message) => sign(null, message, key) };
}

export function isSignedBy(publicKey: Buffer, message: Buffer, signature: Buffer): boolean {
  return verify(null, message, keyOf(publicKey), signature);
}

export function keyIdOf(publicKey: Buffer): string {
  return sha256Hex(publicKey).slice(0, KEY_ID_CHARACTERS);
}

function keyOf(publicKey: Buffer): KeyObject {
  const der = Buffer.concat([PUBLIC_PREFIX, publicKey]);
  return createPublicKey({ key: der, format: 'der', type: 'spki' });
}
