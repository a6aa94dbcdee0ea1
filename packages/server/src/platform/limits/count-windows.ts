import type { Clock } from '../../kernel/clock.js';
import { createLru } from '../cache/lru.js';

/** What was counted for one name since its window began. */
export interface CountWindow {
  count: number;
  leftMs(): number;
}

/** The window that runs for a name; one begins with whoever asks after the last has ended. */
export type CountWindows = (name: string) => CountWindow;

/**
 * For what strangers do, where a count in this process is enough and nothing is to be written for it: bounded, and the
 * name that was counted longest ago is forgotten first.
 */
export function createCountWindows(
  clock: Pick<Clock, 'monotonicMs'>,
  { windowMs, namesMax }: { readonly windowMs: number; readonly namesMax: number },
): CountWindows {
  const windows = createLru<string, CountWindow>({ entriesMax: namesMax });

  return (name) => {
    const running = windows.get(name);
    if (running && running.leftMs() > 0) return running;
    const endsAtMs = clock.monotonicMs() + windowMs;
    const fresh: CountWindow = { count: 0, leftMs: () => endsAtMs - clock.monotonicMs() };
    windows.put(name, fresh);
    return fresh;
  };
}
