/**
 * Counts of whole milliseconds, exact below 64 and in 32 steps for each doubling above, so that what is read from it is off
 * by 1/64 at most. Two of them add up to the one of all their values.
 */
export class Histogram {
  readonly #counts = new Map<number, number>();
  #total = 0;

  /** Values in all. */
  get total(): number {
    return this.#total;
  }

  /** So many times. */
  add(ms: number, times = 1): void {
    this.#count(bucketOf(ms), times);
  }

  merge(other: Histogram): void {
    for (const [bucket, count] of other.#counts) this.#count(bucket, count);
  }

  /** The value that the share `q` of all does not exceed, by nearest rank; null where there is none. */
  quantile(q: number): number | null {
    if (this.#total === 0) return null;
    let left = Math.max(1, Math.ceil(q * this.#total));
    for (const bucket of [...this.#counts.keys()].sort((a, b) => a - b)) {
      left -= this.#counts.get(bucket)!;
      if (left <= 0) return middleOf(bucket);
    }
    return null;
  }

  /** Bucket, count, bucket, count, ... ascending. */
  toJSON(): number[] {
    return [...this.#counts].sort(([a], [b]) => a - b).flat();
  }

  static from(pairs: readonly number[]): Histogram {
    const histogram = new Histogram();
    for (let at = 0; at + 1 < pairs.length; at += 2) histogram.#count(pairs[at]!, pairs[at + 1]!);
    return histogram;
  }

  #count(bucket: number, count: number): void {
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + count);
    this.#total += count;
  }
}

const STEPS = 32;
const EXACT_BELOW = 2 * STEPS;
const MS_MAX = 2 ** 31 - 1;

function bucketOf(ms: number): number {
  const value = Math.min(Math.max(Math.floor(ms), 0), MS_MAX);
  if (value < EXACT_BELOW) return value;
  const doublings = 31 - Math.clz32(value) - 5;
  return STEPS * doublings + (value >> doublings);
}

function middleOf(bucket: number): number {
  if (bucket < EXACT_BELOW) return bucket;
  const doublings = Math.floor(bucket / STEPS) - 1;
  const lowest = (bucket - STEPS * doublings) * 2 ** doublings;
  return lowest + Math.floor((2 ** doublings - 1) / 2);
}
