/** Injected everywhere time is read, so that tests advance it instead of sleeping. */
export interface Clock {
  /** Epoch milliseconds. */
  nowMs(): number;
  /** Milliseconds that never go back; only differences mean anything. */
  monotonicMs(): number;
  /** Calls back once after `delayMs`; the returned function cancels. Never keeps the process alive. */
  setTimer(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** ISO-8601 UTC with milliseconds and `Z` (contract README §5). */
export function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** For people, on pages and in mails: `2026-11-26 19:39 UTC`. */
export function minuteText(epochMs: number): string {
  return `${isoTime(epochMs).slice(0, 16).replace('T', ' ')} UTC`;
}

/** Without milliseconds: for the dates of certificates (contract README §5). */
export function isoSeconds(epochMs: number): string {
  return isoTime(epochMs).replace(/\.\d{3}Z$/, 'Z');
}

/** Cut to whole seconds, in milliseconds: certificates know no smaller unit. */
export function wholeSeconds(epochMs: number): number {
  return Math.floor(epochMs / 1_000) * 1_000;
}

export function isoTimeOrNull(epochMs: number | null): string | null {
  return epochMs === null ? null : isoTime(epochMs);
}
