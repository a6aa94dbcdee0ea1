import type { Clock } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Secret } from '../../kernel/secret.js';
import { deriveKey } from '../../platform/crypto/authenticated-cipher.js';
import { hmacSha256 } from '../../platform/crypto/hashing.js';

const NONCE_BYTES = 16;

/** RFC 9449 §8 without a store: an HMAC of the minute, the same in every process that has the root key. */
export interface Nonces {
  current(): string;
  isRecent(nonce: string): boolean;
}

export function createNonces(deps: { readonly clock: Clock; readonly rootKey: Secret<Buffer> }): Nonces {
  const key = deriveKey(deps.rootKey.reveal(), Buffer.alloc(0), 'knox.dpop.nonce');
  let step = Number.NaN;
  let recent: readonly string[] = [];

  function nonceOf(at: number): string {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(BigInt(at));
    return hmacSha256(key, bytes).toString('base64url', 0, NONCE_BYTES);
  }

  /** Those of steps from before to after the present one; the clock of another process may be ahead. */
  function nonces(): readonly string[] {
    const { dpopNonceStepMs, dpopNonceSteps } = LIMITS;
    const now = Math.floor(deps.clock.nowMs() / dpopNonceStepMs);
    if (now !== step) {
      step = now;
      recent = Array.from({ length: 2 * dpopNonceSteps + 1 }, (_, index) =>
        nonceOf(now - dpopNonceSteps + index),
      );
    }
    return recent;
  }

  return {
    current: () => nonces()[LIMITS.dpopNonceSteps]!,
    // Whoever asks is given one, so there is nothing to find out by the time a comparison takes.
    isRecent: (nonce) => nonces().includes(nonce),
  };
}
