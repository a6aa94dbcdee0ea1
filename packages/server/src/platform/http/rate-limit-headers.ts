import { isoTime } from '../../kernel/clock.js';
import type { RateLimitStatus } from '../../kernel/rate-limit.js';

/** The same as raw headers, for an answer that is passed on: nothing is made but the texts. */
export function pushRateLimit(rawHeaders: string[], { limit, remaining, resetAtMs }: RateLimitStatus): void {
  rawHeaders.push(
    'x-ratelimit-limit',
    String(limit),
    'x-ratelimit-remaining',
    String(remaining),
    'x-ratelimit-reset',
    String(Math.ceil(resetAtMs / 1000)),
  );
}

const NONE: Readonly<Record<string, string>> = {};

/** dataplane.md §9: on every answer of a limited surface; the reset in epoch seconds. */
export function rateLimitHeaders(
  status: RateLimitStatus | null | undefined,
): Readonly<Record<string, string>> {
  if (!status) return NONE;
  return {
    'x-ratelimit-limit': String(status.limit),
    'x-ratelimit-remaining': String(status.remaining),
    'x-ratelimit-reset': String(Math.ceil(status.resetAtMs / 1000)),
  };
}

/** `error.limit` of a 429: which window refused. */
export function rateLimitMember({ scope, limit, windowSec, resetAtMs }: RateLimitStatus): object {
  return { scope, limit, window_sec: windowSec, reset_at: isoTime(Math.ceil(resetAtMs)) };
}
