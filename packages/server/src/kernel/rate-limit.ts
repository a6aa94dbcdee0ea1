/** Whose limit it is (dataplane.md §9). */
export type RateLimitScope = 'tenant' | 'route' | 'client' | 'key' | 'proxy';

/** What a limit says of one request; the `X-RateLimit-*` headers and `error.limit` are written from it. */
export interface RateLimitStatus {
  readonly scope: RateLimitScope;
  readonly isAllowed: boolean;
  readonly limit: number;
  readonly windowSec: number;
  readonly remaining: number;
  /** When the whole limit is there again. */
  readonly resetAtMs: number;
  /** Milliseconds until a further request is admitted; 0 when one is now. */
  readonly retryAfterMs: number;
}

/** What a credential of its own is limited to (auth.md §1.3). */
export interface KeyRateLimit {
  readonly requests: number;
  readonly windowSeconds: number;
}
