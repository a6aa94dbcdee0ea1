/** Requests to one webhook that are on their way to its route, and their bodies together. */
export const WAITING_MAX = 1_000;
export const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** Dead letters of one, and their bodies together; the oldest go. */
export const DEAD_MAX = 1_000;
export const DEAD_BYTES_MAX = 64 * 1024 * 1024;
/** A try is broken off after this long, the body of its answer included. */
export const TRY_MS_MAX = 60_000;
