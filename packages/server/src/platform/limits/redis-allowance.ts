import type { Clock } from '../../kernel/clock.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { RateLimitStatus } from '../../kernel/rate-limit.js';
import { type Allowance, type Count, type FallbackAllowance, statusOf } from './allowance.js';
import type { LimitRule } from './meters.js';

/** One count for all processes. Each call may fail, and ends within a fraction of a second. */
export interface SharedCounter {
  /** False while it is known to be away: asking would only cost the wait. */
  isUsable(): boolean;
  take(name: string, rule: LimitRule, nowMs: number): Promise<Count>;
  giveBack(name: string, rule: LimitRule, nowMs: number): Promise<void>;
  close(): Promise<void>;
}

/** Exact while Redis answers; what it does not answer is judged by the fallback, which goes on from what it said last. */
export class RedisAllowance implements Allowance {
  readonly #name: string;
  readonly #counter: SharedCounter;
  readonly #clock: Clock;
  readonly #fallback: FallbackAllowance;
  /** What was heard last, until the fallback has been told. */
  #heard: Count | null = null;

  constructor(
    readonly rule: LimitRule,
    deps: { name: string; counter: SharedCounter; clock: Clock; fallback: FallbackAllowance },
  ) {
    this.#name = deps.name;
    this.#counter = deps.counter;
    this.#clock = deps.clock;
    this.#fallback = deps.fallback;
  }

  take(): Promisable<RateLimitStatus> {
    return this.#counter.isUsable() ? this.#takeShared() : this.#takeOwn();
  }

  giveBack(): void {
    // What is not given back is one request fewer in this window, never one more.
    if (this.#counter.isUsable())
      void this.#counter.giveBack(this.#name, this.rule, this.#clock.nowMs()).catch(() => {});
    else this.#fallback.giveBack();
  }

  async #takeShared(): Promise<RateLimitStatus> {
    try {
      const heard = await this.#counter.take(this.#name, this.rule, this.#clock.nowMs());
      this.#heard = heard;
      return statusOf(this.rule, heard);
    } catch {
      return this.#takeOwn();
    }
  }

  /** What the shared count has let through in this window is not let through again. */
  #takeOwn(): Promisable<RateLimitStatus> {
    const heard = this.#heard;
    this.#heard = null;
    if (heard !== null && this.#clock.nowMs() < heard.resetAtMs)
      this.#fallback.countAtLeast(this.rule.requests - heard.remaining);
    return this.#fallback.take();
  }
}
