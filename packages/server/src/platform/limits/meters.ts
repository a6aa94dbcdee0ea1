import type { RateLimitScope } from '../../kernel/rate-limit.js';

/**
 * `bucket`: continuous refill, capacity of one window. `sliding`: at most `requests` in any window. A sliding window
 * of a whole UTC day is that day instead (dataplane.md §9).
 */
export interface LimitRule {
  readonly scope: RateLimitScope;
  readonly kind: 'bucket' | 'sliding';
  readonly requests: number;
  readonly windowSec: number;
}

/** The count of one limit. Pure: the time is an argument, so that one code serves memory and shared rows. */
export interface Meter {
  /** Takes up to `wanted` and says how many it gave. */
  take(nowMs: number, wanted: number): number;
  /** Undoes the last takes until then, as far as they still count: a later one is another's, and counts for longer. */
  giveBack(nowMs: number, count: number, takenAtMs?: number): void;
  remaining(nowMs: number): number;
  resetAtMs(nowMs: number): number;
  /** 0 when a request would be admitted now. */
  retryAfterMs(nowMs: number): number;
  /** Plain JSON of numbers, from which `meterOf` makes the same meter again. */
  state(): MeterState;
}

export type MeterState = readonly number[];

const DAY_SEC = 86_400;
/** Parts that a sliding window is counted in: a request counts for its window and at most a twentieth of it more. */
export const SLIDING_PARTS = 20;

export function kindOf({ kind, windowSec }: LimitRule): 'bucket' | 'sliding' | 'day' {
  return kind === 'sliding' && windowSec === DAY_SEC ? 'day' : kind;
}

export function meterOf(rule: LimitRule, state: MeterState): Meter {
  switch (kindOf(rule)) {
    case 'bucket':
      return new Bucket(rule, state);
    case 'sliding':
      return new SlidingWindow(rule, state);
    case 'day':
      return new UtcDay(rule, state);
  }
}

/** A limit of nothing never admits; "later" is a window away, so that a client does not ask at once again. */
function neverMs({ windowSec }: LimitRule): number {
  return windowSec * 1000;
}

/** One number: the time at which the bucket is full again (the generic cell rate algorithm of ATM networks). */
class Bucket implements Meter {
  readonly #rule: LimitRule;
  readonly #windowMs: number;
  readonly #perRequestMs: number;
  #fullAtMs: number;

  constructor(rule: LimitRule, [fullAtMs = 0]: MeterState) {
    this.#rule = rule;
    this.#windowMs = rule.windowSec * 1000;
    this.#perRequestMs = this.#windowMs / rule.requests;
    this.#fullAtMs = fullAtMs;
  }

  take(nowMs: number, wanted: number): number {
    const given = Math.min(wanted, this.remaining(nowMs));
    if (given > 0) this.#fullAtMs = Math.max(this.#fullAtMs, nowMs) + given * this.#perRequestMs;
    return given;
  }

  giveBack(_nowMs: number, count: number): void {
    this.#fullAtMs -= count * this.#perRequestMs;
  }

  remaining(nowMs: number): number {
    const missingMs = Math.max(0, this.#fullAtMs - nowMs);
    // Sums of fractions stray in the last bits: a ten-thousandth of a request is not one more or less.
    return Math.max(0, Math.floor((this.#windowMs - missingMs) / this.#perRequestMs + 0.0001));
  }

  resetAtMs(nowMs: number): number {
    return Math.max(this.#fullAtMs, nowMs);
  }

  retryAfterMs(nowMs: number): number {
    if (this.#rule.requests === 0) return neverMs(this.#rule);
    if (this.remaining(nowMs) > 0) return 0;
    return Math.max(1, this.#fullAtMs + this.#perRequestMs - this.#windowMs - nowMs);
  }

  state(): MeterState {
    return [this.#fullAtMs];
  }
}

/** Counts in parts of a window: each leaves when its newest request is a window old, so no window holds too many. */
class SlidingWindow implements Meter {
  readonly #rule: LimitRule;
  readonly #windowMs: number;
  readonly #partMs: number;
  /** Oldest first, three numbers each: first and last request, count. */
  #parts: number[];
  #total = 0;

  constructor(rule: LimitRule, state: MeterState) {
    this.#rule = rule;
    this.#windowMs = rule.windowSec * 1000;
    this.#partMs = this.#windowMs / SLIDING_PARTS;
    this.#parts = [...state];
    for (let at = 2; at < state.length; at += 3) this.#total += state[at]!;
  }

  take(nowMs: number, wanted: number): number {
    const given = Math.min(wanted, this.remaining(nowMs));
    if (given <= 0) return 0;
    const parts = this.#parts;
    const last = parts.length - 3;
    if (last >= 0 && nowMs - parts[last]! < this.#partMs) {
      parts[last + 1] = Math.max(parts[last + 1]!, nowMs);
      parts[last + 2]! += given;
    } else {
      parts.push(nowMs, nowMs, given);
    }
    this.#total += given;
    return given;
  }

  giveBack(nowMs: number, count: number, takenAtMs = nowMs): void {
    this.#drop(nowMs);
    let left = count;
    for (let at = this.#parts.length - 1; at >= 0 && left > 0; at -= 3) {
      if (this.#parts[at - 2]! > takenAtMs) continue;
      const undone = Math.min(left, this.#parts[at]!);
      this.#parts[at]! -= undone;
      this.#total -= undone;
      left -= undone;
    }
  }

  remaining(nowMs: number): number {
    this.#drop(nowMs);
    return Math.max(0, this.#rule.requests - this.#total);
  }

  resetAtMs(nowMs: number): number {
    this.#drop(nowMs);
    const newest = this.#parts[this.#parts.length - 2];
    return newest === undefined ? nowMs : newest + this.#windowMs;
  }

  retryAfterMs(nowMs: number): number {
    if (this.#rule.requests === 0) return neverMs(this.#rule);
    if (this.remaining(nowMs) > 0) return 0;
    return Math.max(1, (this.#parts[1] ?? nowMs) + this.#windowMs - nowMs);
  }

  state(): MeterState {
    return this.#parts;
  }

  #drop(nowMs: number): void {
    const parts = this.#parts;
    let gone = 0;
    while (gone < parts.length && (nowMs - parts[gone + 1]! >= this.#windowMs || parts[gone + 2] === 0)) {
      this.#total -= parts[gone + 2]!;
      gone += 3;
    }
    if (gone > 0) this.#parts = parts.slice(gone);
  }
}

class UtcDay implements Meter {
  readonly #rule: LimitRule;
  #day: number;
  #count: number;

  constructor(rule: LimitRule, [day = 0, count = 0]: MeterState) {
    this.#rule = rule;
    this.#day = day;
    this.#count = count;
  }

  take(nowMs: number, wanted: number): number {
    const given = Math.min(wanted, this.remaining(nowMs));
    this.#count += given;
    return given;
  }

  giveBack(nowMs: number, count: number, takenAtMs = nowMs): void {
    this.#turn(nowMs);
    if (Math.floor(takenAtMs / (DAY_SEC * 1000)) < this.#day) return;
    this.#count = Math.max(0, this.#count - count);
  }

  remaining(nowMs: number): number {
    this.#turn(nowMs);
    return Math.max(0, this.#rule.requests - this.#count);
  }

  resetAtMs(nowMs: number): number {
    this.#turn(nowMs);
    return (this.#day + 1) * DAY_SEC * 1000;
  }

  retryAfterMs(nowMs: number): number {
    return this.remaining(nowMs) > 0 ? 0 : this.resetAtMs(nowMs) - nowMs;
  }

  state(): MeterState {
    return [this.#day, this.#count];
  }

  /** Never back: a machine whose clock is behind counts on in the day that another has begun. */
  #turn(nowMs: number): void {
    const day = Math.floor(nowMs / (DAY_SEC * 1000));
    if (day <= this.#day) return;
    this.#day = day;
    this.#count = 0;
  }
}
