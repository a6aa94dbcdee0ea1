import type { TenantId } from '../../kernel/ids.js';
import { KEY_BYTES } from '../../platform/crypto/authenticated-cipher.js';
import { newKeyPair } from '../../platform/crypto/key-pairs.js';
import { spkiOfPoint } from '../../platform/crypto/public-keys.js';
import type { Random } from '../../platform/crypto/random.js';
import { newPrivateKey, publicPointOf } from '../../platform/crypto/sealed-box.js';
import type { KeyType } from './tables.js';

export interface KeyMaterial {
  /**
   * Symmetric: the bytes; asymmetric: PKCS #8 in DER; `ecdh-p256`: the scalar of 32 bytes. Whoever asked for it zeroes it.
   */
  readonly secret: Buffer;
  /** SubjectPublicKeyInfo in DER; null of symmetric types. */
  readonly publicKey: Buffer | null;
}

/** As long as the hash, which RFC 7518 §3.2 asks for. */
const HMAC_SHA512_BYTES = 64;

/** Never inside a transaction: RSA takes seconds. */
export async function newKeyMaterial(
  random: Random,
  keyType: KeyType,
  owner: TenantId,
): Promise<KeyMaterial> {
  switch (keyType) {
    case 'aes256-gcm':
    case 'hmac-sha256':
      return { secret: random.bytes(KEY_BYTES), publicKey: null };
    case 'hmac-sha512':
      return { secret: random.bytes(HMAC_SHA512_BYTES), publicKey: null };
    case 'ecdh-p256': {
      const secret = newPrivateKey();
      return { secret, publicKey: publicKeyOfScalar(secret) };
    }
    default: {
      const { privateKey, publicKey } = await newKeyPair(keyType, owner);
      return { secret: privateKey, publicKey };
    }
  }
}

/** Of an `ecdh-p256` key. */
export function publicKeyOfScalar(scalar: Buffer): Buffer {
  return spkiOfPoint(publicPointOf(scalar));
}
