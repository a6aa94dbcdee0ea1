import type { Mode } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import { sha256 } from '../../platform/crypto/hashing.js';
import type { Random } from '../../platform/crypto/random.js';

/**
 * `tk_live_<id>_<secret>` (auth.md §1.1). No `_ - : % +` in either half, so that splitting is unambiguous and HTTP
 * Basic agrees with and without form encoding.
 */
const ID_ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const SECRET_ALPHABET = `ABCDEFGHIJKLMNOPQRSTUVWXYZ${ID_ALPHABET}`;
const ID_CHARACTERS = 12;
/** 62^40 is 238 bits. */
const SECRET_CHARACTERS = 40;
const PREFIX_CHARACTERS = 11;

export type KeyType = 'standard' | 'test';

export interface NewKey {
  readonly keyId: string;
  readonly apiKey: Secret<string>;
  readonly hash: Buffer;
  readonly prefix: string;
  readonly type: KeyType;
}

export function newKey(random: Random, mode: Mode): NewKey {
  const keyId = `tk_${mode}_${random.text(ID_ALPHABET, ID_CHARACTERS)}`;
  const apiKey = `${keyId}_${random.text(SECRET_ALPHABET, SECRET_CHARACTERS)}`;
  return {
    keyId,
    apiKey: new Secret(apiKey),
    hash: hashKey(apiKey),
    prefix: `${apiKey.slice(0, PREFIX_CHARACTERS)}...`,
    type: mode === 'live' ? 'standard' : 'test',
  };
}

/** Fast on purpose: the key has 238 bits, so a slow hash would protect nothing and cost every request. */
export function hashKey(apiKey: string): Buffer {
  return sha256(apiKey);
}
