import { Secret } from '../../kernel/secret.js';
import { sha256 } from '../../platform/crypto/hashing.js';
import type { Random } from '../../platform/crypto/random.js';

/**
 * `tk_live_<id>_<secret>`, `tk_test_…` and `AKE<id>_<secret>` (auth.md §1.1). No `_ - : % +` in either half, so that splitting is unambiguous and HTTP
 * Basic agrees with and without form encoding.
 */
const ID_ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const SECRET_ALPHABET = `ABCDEFGHIJKLMNOPQRSTUVWXYZ${ID_ALPHABET}`;
/** 62^40 is 238 bits. */
const SECRET_CHARACTERS = 40;
const PREFIX_CHARACTERS = 11;

export type KeyType = 'standard' | 'test' | 'access_key';

const ID_FORMS: Readonly<Record<KeyType, { prefix: string; alphabet: string; characters: number }>> = {
  standard: { prefix: 'tk_live_', alphabet: ID_ALPHABET, characters: 12 },
  test: { prefix: 'tk_test_', alphabet: ID_ALPHABET, characters: 12 },
  access_key: { prefix: 'AKE', alphabet: SECRET_ALPHABET, characters: 13 },
};

export interface NewKey {
  readonly keyId: string;
  readonly apiKey: Secret<string>;
  readonly hash: Buffer;
  readonly prefix: string;
  readonly type: KeyType;
}

export function newKey(random: Random, type: KeyType): NewKey {
  const { prefix, alphabet, characters } = ID_FORMS[type];
  const keyId = `${prefix}${random.text(alphabet, characters)}`;
  const apiKey = `${keyId}_${random.text(SECRET_ALPHABET, SECRET_CHARACTERS)}`;
  return {
    keyId,
    apiKey: new Secret(apiKey),
    hash: hashKey(apiKey),
    prefix: `${apiKey.slice(0, PREFIX_CHARACTERS)}...`,
    type,
  };
}

/** Fast on purpose: the key has 238 bits, so a slow hash would protect nothing and cost every request. */
export function hashKey(apiKey: string): Buffer {
  return sha256(apiKey);
}
