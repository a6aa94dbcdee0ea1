import type { Clock } from '../../../kernel/clock.js';
import { networkOf } from '../../../kernel/ip-address.js';
import { LIMITS } from '../../../kernel/limits.js';
import { createCountWindows } from '../../../platform/limits/count-windows.js';
import { PageError } from '../errors.js';

/** Who guesses user codes is stopped before the next look-up (RFC 8628 §5.1, auth.md §2.5). */
export interface WrongCodes {
  /** Counts a guess before it is looked up: of many that are sent at once, no more are let through than one by one. */
  admit(ip: string | null): Promise<void>;
  /** It was none: the code is right. */
  forgive(ip: string | null): Promise<void>;
}

const WINDOW_MS = 60_000;
const NETWORKS_KEPT = 10_000;

export function createWrongCodes(clock: Clock): WrongCodes {
  const windowOf = createCountWindows(clock, { windowMs: WINDOW_MS, namesMax: NETWORKS_KEPT });

  return {
    async admit(ip) {
      const window = windowOf(networkOf(ip));
      if (window.count < LIMITS.userCodeFailuresPerMinute) {
        window.count++;
        return;
      }
      const seconds = Math.max(1, Math.ceil(window.leftMs() / 1000));
      throw new PageError(429, 'Too many wrong codes. Wait a minute and try again.', seconds);
    },
    async forgive(ip) {
      const window = windowOf(networkOf(ip));
      window.count = Math.max(0, window.count - 1);
    },
  };
}
