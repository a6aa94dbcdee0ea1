import type { AuthorityLives } from '../authorities/index.js';

export const DAY_MS = 86_400_000;

/**
 * Ten years and thirty days (contract README §7). The next issuing authority takes over at half of the life of the one before: so what
 * is issued can live for 15 days at least, and two are there at once.
 */
export const LIVES: AuthorityLives = {
  rootMs: 3_650 * DAY_MS,
  issuingMs: 30 * DAY_MS,
  issuingLeftMinMs: 15 * DAY_MS,
};

/** How long before its end a certificate is told of (clients-pki.md §3.6), the earliest first. */
export const NOTICE_DAYS = [30, 7, 1] as const;
