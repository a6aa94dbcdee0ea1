import type { Random } from '../../../platform/crypto/random.js';
import type { WebhookTerms } from '../store.js';

const FIRST_DELAY_MS = 1_000;
const FACTOR = 5;
const DELAY_MS_MAX = 3_600_000;
/** What failed together parts: up to a quarter more. */
const JITTER = 4;

/** 1, 5, 25 s … and at most an hour (dataplane.md §11.3), after so many tries; null = it is given up. */
export function retryDelayMs(
  { retryOnFailure, maxRetries }: Pick<WebhookTerms, 'retryOnFailure' | 'maxRetries'>,
  attempts: number,
  random: Random,
): number | null {
  if (!retryOnFailure || attempts > maxRetries) return null;
  const delayMs = Math.min(FIRST_DELAY_MS * FACTOR ** (attempts - 1), DELAY_MS_MAX);
  return delayMs + random.below(Math.floor(delayMs / JITTER) + 1);
}
