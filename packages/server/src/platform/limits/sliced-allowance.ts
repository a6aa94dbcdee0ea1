import type { Clock } from '../../kernel/clock.js';
import { AppError } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { RateLimitStatus } from '../../kernel/rate-limit.js';
import { type Count, countOf, type FallbackAllowance, raiseTo, statusOf } from './allowance.js';
import { type LimitRule, type Meter, meterOf } from './meters.js';
import type { RateLimitStore } from './store.js';

/** Each failed write means that another process has drawn: with tens of processes one is through long before this. */
const WRITES_MAX = 20;
const GIVE_BACK_AFTER_MIN_MS = 1_000;

/**
 * A share of a count that several processes keep in one row. Requests draw on a slice in memory; an empty slice is
 * refilled from the row. A slice counts from its draw, so what all processes admit in a window exceeds the limit by
 * at most one slice each (dataplane.md §9).
 */
export class SlicedAllowance implements FallbackAllowance {
  readonly #scope: Scope;
  readonly #name: string;
  readonly #store: RateLimitStore;
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #slice: number;
  #left = 0;
  #drawnAtMs = 0;
  #usedAtMs = 0;
  /** Of the row, as of the last draw. */
  #shared: Count = { isAllowed: true, remaining: 0, resetAtMs: 0, retryAfterMs: 0 };
  #refusedUntilMs = 0;
  #takenElsewhere = 0;
  #waiting = 0;
  #drawing: Promise<void> | null = null;
  #cancelTimer: (() => void) | null = null;

  constructor(
    readonly rule: LimitRule,
    deps: { scope: Scope; name: string; store: RateLimitStore; clock: Clock },
  ) {
    this.#scope = deps.scope;
    this.#name = deps.name;
    this.#store = deps.store;
    this.#clock = deps.clock;
    this.#windowMs = rule.windowSec * 1000;
    this.#slice = Math.max(1, Math.floor(rule.requests * LIMITS.rateSliceShare));
  }

  take(): Promisable<RateLimitStatus> {
    const nowMs = this.#clock.nowMs();
    return this.#takeNow(nowMs) ?? this.#drawAndTake();
  }

  giveBack(): void {
    if (this.#isSliceFresh(this.#clock.nowMs())) this.#left += 1;
  }

  countAtLeast(taken: number): void {
    this.#takenElsewhere = taken;
  }

  /** Puts the rest of the slice back into the row. */
  async release(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const count = this.#left;
    if (count === 0 || !this.#isSliceFresh(this.#clock.nowMs())) return;
    const drawnAtMs = this.#drawnAtMs;
    this.#left = 0;
    await this.#change((meter, nowMs) => {
      meter.giveBack(nowMs, count, drawnAtMs);
      return { isChanged: true };
    });
  }

  #isSliceFresh(nowMs: number): boolean {
    return nowMs - this.#drawnAtMs < this.#windowMs;
  }

  #takeNow(nowMs: number): RateLimitStatus | null {
    if (this.#left > 0 && this.#isSliceFresh(nowMs)) {
      this.#left -= 1;
      this.#usedAtMs = nowMs;
      return this.#status(true, 0);
    }
    this.#left = 0;
    return nowMs < this.#refusedUntilMs
      ? this.#status(false, this.#shared.retryAfterMs - (nowMs - this.#drawnAtMs))
      : null;
  }

  #status(isAllowed: boolean, retryAfterMs: number): RateLimitStatus {
    const { remaining, resetAtMs } = this.#shared;
    return statusOf(this.rule, {
      isAllowed,
      remaining: this.#left + remaining,
      resetAtMs,
      retryAfterMs: isAllowed ? 0 : Math.max(1, retryAfterMs),
    });
  }

  /** Those who find the slice empty wait for one draw; it brings enough for all of them where there is enough. */
  async #drawAndTake(): Promise<RateLimitStatus> {
    this.#waiting += 1;
    try {
      for (;;) {
        const taken = this.#takeNow(this.#clock.nowMs());
        if (taken !== null) return taken;
        this.#drawing ??= this.#draw().finally(() => {
          this.#drawing = null;
        });
        await this.#drawing;
      }
    } finally {
      this.#waiting -= 1;
    }
  }

  /** Nothing of it may be used before it is written: another process may have drawn the same. */
  async #draw(): Promise<void> {
    const wanted = Math.max(this.#slice, this.#waiting);
    this.#left = 0;
    const takenElsewhere = this.#takenElsewhere;
    const { given, atMs, shared } = await this.#change((meter, nowMs) => {
      const isRaised = raiseTo(meter, this.rule, nowMs, takenElsewhere);
      const taken = meter.take(nowMs, wanted);
      const isChanged = isRaised || taken > 0;
      return { given: taken, atMs: nowMs, shared: countOf(meter, nowMs, taken > 0), isChanged };
    });
    if (this.#takenElsewhere === takenElsewhere) this.#takenElsewhere = 0;
    this.#left = given;
    this.#drawnAtMs = atMs;
    this.#shared = shared;
    // Others may give back before the row itself has room again.
    const askAgainMs = Math.min(shared.retryAfterMs, Math.max(1, this.#windowMs / 20));
    this.#refusedUntilMs = given > 0 ? 0 : atMs + askAgainMs;
    this.#giveBackWhenIdle();
  }

  /** Reads, changes in memory, and writes what is worth it unless another process has written meanwhile. */
  async #change<T extends { readonly isChanged: boolean }>(
    change: (meter: Meter, nowMs: number) => T,
  ): Promise<T> {
    for (let write = 0; write < WRITES_MAX; write++) {
      const read = await this.#store.read(this.#scope, this.#name);
      const meter = meterOf(this.rule, read?.state ?? []);
      const nowMs = this.#clock.nowMs();
      const changed = change(meter, nowMs);
      if (!changed.isChanged) return changed;
      const next = { state: meter.state(), expiresAtMs: Math.ceil(meter.resetAtMs(nowMs)) };
      if (await this.#store.write(this.#scope, this.#name, next, read?.version ?? 0)) return changed;
    }
    throw new AppError('dependency_unavailable', 'Rate limits cannot be read at the moment', {
      dependency: 'database',
      retryAfterSeconds: 1,
      detail: `a rate limit was changed by others ${WRITES_MAX} times in a row`,
    });
  }

  #giveBackWhenIdle(): void {
    const afterMs = Math.max(GIVE_BACK_AFTER_MIN_MS, this.#windowMs / 20);
    // What is left of a shorter window is worth nothing by then.
    if (this.#left === 0 || afterMs >= this.#windowMs || this.#cancelTimer !== null) return;
    this.#cancelTimer = this.#clock.setTimer(afterMs, () => {
      this.#cancelTimer = null;
      if (this.#clock.nowMs() - this.#usedAtMs < afterMs) this.#giveBackWhenIdle();
      // A failure leaves it counted as used: fewer requests then, never more.
      else void this.release().catch(() => {});
    });
  }
}
