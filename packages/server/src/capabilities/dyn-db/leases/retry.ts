import type { Random } from '../../../platform/crypto/random.js';

const FIRST_DELAY_MS = 10_000;
const DELAY_MS_MAX = 3_600_000;
const JITTER = 0.2;
const JITTER_STEPS = 10_001;

/** So many failures in a row, and the lease is shown as `errored`. It is tried on without end (dyn-db.md §4). */
export const ERRORED_AFTER = 5;

/** 10 s, twice as long after each failure up to an hour, 20 % more or less so that what failed together comes apart. */
export function retryDelayMs(failures: number, random: Pick<Random, 'below'>): number {
  const delayMs = Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), DELAY_MS_MAX);
  const share = random.below(JITTER_STEPS) / (JITTER_STEPS - 1);
  return Math.round(delayMs * (1 - JITTER + 2 * JITTER * share));
}
