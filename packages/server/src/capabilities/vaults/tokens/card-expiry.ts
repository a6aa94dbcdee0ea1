import { assert } from '../../../kernel/assert.js';
import { isoTime } from '../../../kernel/clock.js';

export interface CardExpiry {
  /** 1..12. */
  readonly month: number;
  /** Of four digits. */
  readonly year: number;
}

const DAY_MS = 24 * 3_600_000;
/** How long before its end a card is told of (dataplane.md §6.3), the longest first. */
const NOTICE_DAYS = [60, 30] as const;

/** The last day of the month, as an ISO date: until its end the card is good. */
export function lastDayOf({ month, year }: CardExpiry): string {
  return isoTime(Date.UTC(year, month, 0)).slice(0, 10);
}

export interface Notice {
  readonly daysBefore: number;
  /** Midnight UTC at which that day begins. */
  readonly atMs: number;
}

function noticesOf(expiresOn: string): Notice[] {
  return NOTICE_DAYS.map((daysBefore) => ({ daysBefore, atMs: Date.parse(expiresOn) - daysBefore * DAY_MS }));
}

/** When a new token is told of first: notices whose day is over when it is made are never given. */
export function firstNoticeAtMs(expiresOn: string, nowMs: number): number | null {
  return noticesOf(expiresOn).find(({ atMs }) => atMs + DAY_MS > nowMs)?.atMs ?? null;
}

/** The notice that is due at that time, and when the next one will be. */
export function noticeAt(expiresOn: string, atMs: number): { daysBefore: number; nextAtMs: number | null } {
  const notices = noticesOf(expiresOn);
  const index = notices.findIndex((notice) => notice.atMs === atMs);
  const daysBefore = notices[index]?.daysBefore;
  assert(daysBefore !== undefined, 'a stored notice is one of its card');
  return { daysBefore, nextAtMs: notices[index + 1]?.atMs ?? null };
}
