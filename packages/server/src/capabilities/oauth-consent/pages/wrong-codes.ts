import type { Clock } from '../../../kernel/clock.js';
import { networkOf } from '../../../kernel/ip-address.js';
import { LIMITS } from '../../../kernel/limits.js';
import { createLru } from '../../../platform/cache/lru.js';
import { PageError } from '../errors.js';

/** Who guesses user codes is stopped before the next look-up (RFC 8628 §5.1, auth.md §2.5). */
export interface WrongCodes {
  admit(ip: string | null): Promise<void>;
  count(ip: string | null): Promise<void>;
}

interface Window {
  readonly endMs: number;
  count: number;
}

const WINDOW_MS = 60_000;
const NETWORKS_KEPT = 10_000;

export function createWrongCodes(clock: Clock): WrongCodes {
  const windows = createLru<string, Window>({ entriesMax: NETWORKS_KEPT });

  function windowOf(ip: string | null) {
    const name = networkOf(ip);
    const nowMs = clock.nowMs();
    const known = windows.get(name);
    if (known && known.endMs <= nowMs) windows.delete(name);
    return windows.load(name, async () => ({ endMs: nowMs + WINDOW_MS, count: 0 }));
  }

  return {
    async admit(ip) {
      const { count, endMs } = await windowOf(ip);
      if (count < LIMITS.userCodeFailuresPerMinute) return;
      const seconds = Math.max(1, Math.ceil((endMs - clock.nowMs()) / 1000));
      throw new PageError(429, 'Too many wrong codes. Wait a minute and try again.', seconds);
    },
    async count(ip) {
      (await windowOf(ip)).count++;
    },
  };
}
