import type { Clock } from '../../kernel/clock.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { RateLimitStatus } from '../../kernel/rate-limit.js';
import { type LimitRule, type Meter, meterOf } from './meters.js';

/** One limit of one tenant and mode, as this process draws on it. */
export interface Allowance {
  readonly rule: LimitRule;
  /** At once where the count is in memory. A refused request takes nothing. */
  take(): Promisable<RateLimitStatus>;
  /** Undoes a take whose request another limit refused. */
  giveBack(): void;
}

/** One that goes on where another count is no longer heard. */
export interface FallbackAllowance extends Allowance {
  /** So many were taken before, as the other has said last. */
  countAtLeast(taken: number): void;
}

/** What a count says after a take. */
export interface Count {
  readonly isAllowed: boolean;
  readonly remaining: number;
  readonly resetAtMs: number;
  readonly retryAfterMs: number;
}

export function statusOf(rule: LimitRule, count: Count): RateLimitStatus {
  const { scope, requests: limit, windowSec } = rule;
  const { isAllowed, remaining, resetAtMs, retryAfterMs } = count;
  // Written out: what is spread gets each member the slow way, and every call has its status.
  return { scope, limit, windowSec, isAllowed, remaining, resetAtMs, retryAfterMs };
}

/** The whole count in memory: right where one process is the only one on its database. */
export class LocalAllowance implements FallbackAllowance {
  readonly #clock: Clock;
  readonly #meter: Meter;

  constructor(
    readonly rule: LimitRule,
    clock: Clock,
  ) {
    this.#clock = clock;
    this.#meter = meterOf(rule, []);
  }

  take(): RateLimitStatus {
    const nowMs = this.#clock.nowMs();
    const isAllowed = this.#meter.take(nowMs, 1) === 1;
    return statusOf(this.rule, countOf(this.#meter, nowMs, isAllowed));
  }

  giveBack(): void {
    this.#meter.giveBack(this.#clock.nowMs(), 1);
  }

  countAtLeast(taken: number): void {
    raiseTo(this.#meter, this.rule, this.#clock.nowMs(), taken);
  }
}

export function countOf(meter: Meter, nowMs: number, isAllowed: boolean): Count {
  return {
    isAllowed,
    remaining: meter.remaining(nowMs),
    resetAtMs: meter.resetAtMs(nowMs),
    retryAfterMs: meter.retryAfterMs(nowMs),
  };
}

/** Whether there was anything to add. */
export function raiseTo(meter: Meter, { requests }: LimitRule, nowMs: number, taken: number): boolean {
  const missing = taken - (requests - meter.remaining(nowMs));
  return missing > 0 && meter.take(nowMs, missing) > 0;
}
