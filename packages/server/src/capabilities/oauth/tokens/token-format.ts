import type { Mode } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import type { Random } from '../../../platform/crypto/random.js';

export interface NewToken {
  readonly text: Secret<string>;
  readonly hash: Buffer;
}

const TOKEN_BYTES = 32;
/** That of a capability token of the AI gateway, which begins alike (auth.md §0). */
const CAPABILITY_MARK = 'a_';

/** `kc_live_` or `kc_test_` and 43 characters, opaque (auth.md §2.3). */
export function newAccessToken(random: Random, mode: Mode): NewToken {
  for (;;) {
    const secret = random.bytes(TOKEN_BYTES).toString('base64url');
    if (!secret.startsWith(CAPABILITY_MARK)) return tokenOf(`kc_${mode}_${secret}`);
  }
}

export function newRefreshToken(random: Random): NewToken {
  return tokenOf(random.bytes(TOKEN_BYTES).toString('base64url'));
}

/** Fast on purpose: what is hashed has 256 bits. */
export function hashToken(text: string): Buffer {
  return sha256(text);
}

function tokenOf(text: string): NewToken {
  return { text: new Secret(text), hash: hashToken(text) };
}
