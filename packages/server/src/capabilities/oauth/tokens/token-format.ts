import type { Mode } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import type { Random } from '../../../platform/crypto/random.js';

export interface NewToken {
  readonly text: Secret<string>;
  readonly hash: Buffer;
}

export const ACCESS_TOKEN_PREFIX = 'kc_';
const TOKEN_BYTES = 32;
/** That of a capability token of the AI gateway, which begins alike (auth.md §0). */
const CAPABILITY_MARK = 'a_';

/** `kc_live_` or `kc_test_` and 43 characters, opaque (auth.md §2.3). */
export function newAccessToken(random: Random, mode: Mode): NewToken {
  for (;;) {
    const secret = random.bytes(TOKEN_BYTES).toString('base64url');
    if (!secret.startsWith(CAPABILITY_MARK)) return tokenOf(`${ACCESS_TOKEN_PREFIX}${mode}_${secret}`);
  }
}

/** Never like an access token: which of the two a text is, its beginning tells. */
export function newRefreshToken(random: Random): NewToken {
  for (;;) {
    const text = random.bytes(TOKEN_BYTES).toString('base64url');
    if (!text.startsWith(ACCESS_TOKEN_PREFIX)) return tokenOf(text);
  }
}

/** Fast on purpose: what is hashed has 256 bits. */
export function hashToken(text: string): Buffer {
  return sha256(text);
}

function tokenOf(text: string): NewToken {
  return { text: new Secret(text), hash: hashToken(text) };
}
