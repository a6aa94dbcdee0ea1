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

/** What a count says after a take. */
export interface Count {
  readonly isAllowed: boolean;
  readonly remaining: number;
  readonly resetAtMs: number;
  readonly retryAfterMs: number;
}

export function statusOf(rule: LimitRule, count: Count): RateLimitStatus {
  const { scope, requests: limit, windowSec } = rule;
  return { scope, limit, windowSec, ...count };
}

/** The whole count in memory: right where one process is the only one on its database. */
export class LocalAllowance implements Allowance {
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
}

export function countOf(meter: Meter, nowMs: number, isAllowed: boolean): Count {
  return {
    isAllowed,
    remaining: meter.remaining(nowMs),
    resetAtMs: meter.resetAtMs(nowMs),
    retryAfterMs: meter.retryAfterMs(nowMs),
  };
}
