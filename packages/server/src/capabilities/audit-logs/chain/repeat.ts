import type { Clock } from '../../../kernel/clock.js';

/** What is run again and again, one at a time, until it is stopped; a failure is told and does not end it. */
export interface Repeated {
  start(): void;
  /** Runs within `delayMs` where the next run is further off. */
  wake(delayMs: number): void;
  stop(): Promise<void>;
}

export interface RepeatOptions {
  readonly clock: Clock;
  readonly everyMs: number;
  run(): Promise<void>;
  onFailure(error: unknown): void;
}

export function repeat({ clock, everyMs, run, onFailure }: RepeatOptions): Repeated {
  let running: Promise<void> | null = null;
  let cancel = () => {};
  let dueAtMs = Number.POSITIVE_INFINITY;
  let isStarted = false;
  let isWoken = false;

  function schedule(delayMs: number): void {
    cancel();
    dueAtMs = clock.monotonicMs() + delayMs;
    cancel = clock.setTimer(delayMs, () => {
      isWoken = false;
      running = run()
        .catch(onFailure)
        .finally(() => {
          running = null;
          if (isStarted) schedule(isWoken ? 0 : everyMs);
        });
    });
  }

  return {
    start() {
      isStarted = true;
      schedule(0);
    },
    wake(delayMs) {
      if (!isStarted) return;
      if (running) isWoken = true;
      else if (dueAtMs > clock.monotonicMs() + delayMs) schedule(delayMs);
    },
    async stop() {
      isStarted = false;
      cancel();
      await running;
    },
  };
}
