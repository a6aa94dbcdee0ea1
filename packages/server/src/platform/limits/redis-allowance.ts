import type { Clock } from '../../kernel/clock.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { RateLimitStatus } from '../../kernel/rate-limit.js';
import { type Allowance, type Count, statusOf } from './allowance.js';
import type { LimitRule } from './meters.js';

/** One count for all processes. Each call may fail, and ends within a fraction of a second. */
export interface SharedCounter {
  /** False while it is known to be away: asking would only cost the wait. */
  isUsable(): boolean;
  take(name: string, rule: LimitRule, nowMs: number): Promise<Count>;
  giveBack(name: string, rule: LimitRule, nowMs: number): Promise<void>;
  close(): Promise<void>;
}

/** Exact while Redis answers; each request that it does not answer is judged by the fallback. */
export class RedisAllowance implements Allowance {
  readonly #name: string;
  readonly #counter: SharedCounter;
  readonly #clock: Clock;
  readonly #fallback: Allowance;

  constructor(
    readonly rule: LimitRule,
    deps: { name: string; counter: SharedCounter; clock: Clock; fallback: Allowance },
  ) {
    this.#name = deps.name;
    this.#counter = deps.counter;
    this.#clock = deps.clock;
    this.#fallback = deps.fallback;
  }

  take(): Promisable<RateLimitStatus> {
    return this.#counter.isUsable() ? this.#takeShared() : this.#fallback.take();
  }

  giveBack(): void {
    // What is not given back is one request fewer in this window, never one more.
    if (this.#counter.isUsable())
      void this.#counter.giveBack(this.#name, this.rule, this.#clock.nowMs()).catch(() => {});
    else this.#fallback.giveBack();
  }

  async #takeShared(): Promise<RateLimitStatus> {
    try {
      return statusOf(this.rule, await this.#counter.take(this.#name, this.rule, this.#clock.nowMs()));
    } catch {
      return this.#fallback.take();
    }
  }
}
