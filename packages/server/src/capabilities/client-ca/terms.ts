/** Reserved: no root of a tenant's own can have it (clients-pki.md §2.4). */
export const CLIENT_ROOT_NAME = '_clients';

const DAY_MS = 86_400_000;

/** clients-pki.md §2.4, contract README §7. */
export const CLIENT_LIVES = {
  rootMs: 3_650 * DAY_MS,
  issuingMs: 1_095 * DAY_MS,
  /** With less left it issues nothing more: its certificates would outlive it. */
  issuingLeftMinMs: 400 * DAY_MS,
} as const;
export const CLIENT_LIFE_MS = 365 * DAY_MS;
