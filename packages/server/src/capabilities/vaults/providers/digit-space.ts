import type { Random } from '../../../platform/crypto/random.js';

/** The tokens that one value can get, where they are few enough to be numbered 0..size-1. */
export interface DigitSpace {
  readonly size: number;
  /** The value itself where it is one of its space: it is never its own token. */
  readonly ownIndex: number | null;
  tokenAt(index: number): string;
}

/** Each token equally often. */
export function drawFrom({ size, ownIndex, tokenAt }: DigitSpace, random: Random): string {
  if (ownIndex === null) return tokenAt(random.below(size));
  const drawn = random.below(size - 1);
  return tokenAt(drawn < ownIndex ? drawn : drawn + 1);
}

/** Each token once, from a random start. */
export function* walkThrough({ size, ownIndex, tokenAt }: DigitSpace, random: Random): Generator<string> {
  const step = stepThrough(size, random);
  let index = random.below(size);
  for (let seen = 0; seen < size; seen += 1) {
    if (index !== ownIndex) yield tokenAt(index);
    index = (index + step) % size;
  }
}

/** A step without a factor in common with the size passes every index once before it repeats. */
function stepThrough(size: number, random: Random): number {
  for (;;) {
    const step = random.below(size);
    if (commonFactor(step, size) === 1) return step;
  }
}

function commonFactor(a: number, b: number): number {
  return b === 0 ? a : commonFactor(b, a % b);
}
