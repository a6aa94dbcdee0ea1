import type { Random } from '../crypto/random.js';
import { maskCredentials } from '../log/mask.js';

export interface RetryRule {
  /** Runs before it is given up; null = endless. */
  readonly attemptsMax: number | null;
  readonly firstDelayMs: number;
  readonly delayMsMax: number;
}

const ERROR_CHARACTERS_MAX = 1_000;
/** 2 to this power is past every delay there is. */
const DOUBLINGS_MAX = 40;

/** Doubles with each failure up to the bound; the upper half is drawn, so that what failed together parts. */
export function backOffMs({ firstDelayMs, delayMsMax }: RetryRule, attempts: number, random: Random): number {
  const delayMs = Math.min(firstDelayMs * 2 ** Math.min(attempts - 1, DOUBLINGS_MAX), delayMsMax);
  const half = Math.floor(delayMs / 2);
  return delayMs - half + random.below(half + 1);
}

/**
 * For operators. Credentials that a library put into its message are taken out, and so is what could move a
 * terminal's cursor or what the database refuses.
 */
export function errorText(error: unknown): string {
  const text =
    error instanceof Error ? `${error.name}: ${error.message}` : 'a value that is no Error was thrown';
  return maskCredentials(text)
    .slice(0, ERROR_CHARACTERS_MAX)
    .replace(/\p{C}+/gu, ' ');
}
