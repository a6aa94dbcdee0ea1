/** Reserved: no root of a tenant's own can have it (clients-pki.md §2.4). */
export const CLIENT_ROOT_NAME = '_clients';

const DAY_MS = 86_400_000;

/** clients-pki.md §2.4, contract README §7. */
export const ROOT_LIFE_MS = 3_650 * DAY_MS;
export const ISSUING_LIFE_MS = 1_095 * DAY_MS;
/** With less left it issues nothing more: its certificates would outlive it. */
export const ISSUING_LEFT_MS_MIN = 400 * DAY_MS;
export const CLIENT_LIFE_MS = 365 * DAY_MS;
/** Clocks of those who verify may be behind (§3.5). */
export const BACKDATED_MS = 60_000;

/** §3.4, §3.6. */
export const LIST_LIFE_MS = 7 * DAY_MS;
export const LIST_HALF_LIFE_MS = LIST_LIFE_MS / 2;
export const OCSP_LIFE_MS = DAY_MS;

/** What has ended is known for so long to whoever asks about it. */
export const CERTIFICATE_KEPT_MS = 90 * DAY_MS;
