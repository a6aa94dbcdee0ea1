const DAY_MS = 86_400_000;

/** Clocks of those who verify may be behind (clients-pki.md §3.5). */
export const BACKDATED_MS = 60_000;

/** §3.4, §3.6. */
export const LIST_LIFE_MS = 7 * DAY_MS;
export const LIST_HALF_LIFE_MS = LIST_LIFE_MS / 2;
export const OCSP_LIFE_MS = DAY_MS;

/** What has ended is known for so long to whoever asks about it. */
export const ENDED_KEPT_MS = 90 * DAY_MS;

/** Issuing authorities of a root that have not ended: each has a list in what is read of the root. */
export const ISSUING_UNENDED_MAX = 100;

/** Serials of one change, and of one statement. */
export const SERIALS_MAX = 1_000;
