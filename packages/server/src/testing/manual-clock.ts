import type { Clock } from '../kernel/clock.js';

export interface ManualClock extends Clock {
  /** Moves both clocks on and runs, in order, every timer that falls due. */
  advance(ms: number): void;
  /** How many wait. */
  timers(): number;
}

export function createManualClock(startMs = Date.UTC(2026, 0, 15, 9, 30)): ManualClock {
  let nowMs = startMs;
  let timers: { atMs: number; callback: () => void }[] = [];
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs - startMs,
    setTimer(delayMs, callback) {
      const timer = { atMs: nowMs + delayMs, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    timers: () => timers.length,
    advance(ms) {
      const untilMs = nowMs + ms;
      for (;;) {
        const due = timers.filter((t) => t.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (!due) break;
        timers = timers.filter((other) => other !== due);
        nowMs = due.atMs;
        due.callback();
      }
      nowMs = untilMs;
    },
  };
}
