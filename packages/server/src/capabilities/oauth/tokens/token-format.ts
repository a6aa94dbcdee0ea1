import type { Mode } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import type { Random } from '../../../platform/crypto/random.js';

export interface NewToken {
  readonly text: Secret<string>;
  readonly hash: Buffer;
}

/** What an access token is found by. */
export interface AccessTokenKey {
  readonly hash: Buffer;
  /** Of its mint, in hex, as the token itself says; of what is no token of ours anything. */
  readonly time: string;
}

export interface NewAccessToken extends AccessTokenKey {
  readonly text: Secret<string>;
}

export const ACCESS_TOKEN_PREFIX = 'kc_';
const TOKEN_BYTES = 32;
/** At its end the time of its mint, so that rows made together stand together (docs/decisions/0079). */
const TIME_BYTES = 6;
const RANDOM_BYTES = TOKEN_BYTES - TIME_BYTES;
const TOKEN_CHARACTERS = 43;
/** That of a capability token of the AI gateway, which begins alike (auth.md §0). */
const CAPABILITY_MARK = 'a_';

/** `kc_live_` or `kc_test_` and 43 characters, opaque (auth.md §2.3). */
export function newAccessToken(random: Random, mode: Mode, nowMs: number): NewAccessToken {
  const bytes = Buffer.alloc(TOKEN_BYTES);
  bytes.writeUIntBE(nowMs, RANDOM_BYTES, TIME_BYTES);
  for (;;) {
    random.bytes(RANDOM_BYTES).copy(bytes);
    const secret = bytes.toString('base64url');
    if (secret.startsWith(CAPABILITY_MARK)) continue;
    const text = `${ACCESS_TOKEN_PREFIX}${mode}_${secret}`;
    return { text: new Secret(text), hash: hashToken(text), time: bytes.toString('hex', RANDOM_BYTES) };
  }
}

export function accessTokenKey(text: string): AccessTokenKey {
  const bytes = Buffer.from(text.slice(-TOKEN_CHARACTERS), 'base64url');
  return { hash: hashToken(text), time: bytes.toString('hex', RANDOM_BYTES) };
}

/** Never like an access token: which of the two a text is, its beginning tells. */
export function newRefreshToken(random: Random): NewToken {
  for (;;) {
    const text = random.bytes(TOKEN_BYTES).toString('base64url');
    if (!text.startsWith(ACCESS_TOKEN_PREFIX)) return tokenOf(text);
  }
}

/** Fast on purpose: what is hashed has 208 random bits or more. */
export function hashToken(text: string): Buffer {
  return sha256(text);
}

function tokenOf(text: string): NewToken {
  return { text: new Secret(text), hash: hashToken(text) };
}
