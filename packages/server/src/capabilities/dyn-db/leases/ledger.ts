import type { Clock } from '../../../kernel/clock.js';
import type { Scope } from '../../../kernel/ids.js';
import { backgroundActor } from '../audit.js';
import type { Ended, Ending } from './ending.js';

/** Leases that end with one commit. */
const ENDED_AT_ONCE = 100;
/** So long the first of them waits for the others: a commit for each would cost as much as the drops. */
const LINGER_MS = 100;

export interface Ledger {
  add(ended: Ended): void;
  /** Writes what waits; how many were written in all. */
  settle(): Promise<number>;
}

/** What the worker has dropped, written while the next are being dropped. */
export function createLedger(
  { clock, ending }: { readonly clock: Clock; readonly ending: Pick<Ending, 'end'> },
  scope: Scope,
  owner: string,
): Ledger {
  let waiting: Ended[] = [];
  let cancelTimer: (() => void) | null = null;
  let writing: Promise<void> = Promise.resolve();
  let rows = 0;

  function write(): void {
    cancelTimer?.();
    cancelTimer = null;
    const ended = waiting;
    waiting = [];
    writing = writing.then(async () => {
      rows += (await ending.end(scope, owner, ended, backgroundActor(scope))).size;
    });
    // Who waits for all of it is told.
    writing.catch(() => {});
  }

  return {
    add(ended) {
      waiting.push(ended);
      if (waiting.length === ENDED_AT_ONCE) write();
      else cancelTimer ??= clock.setTimer(LINGER_MS, write);
    },
    async settle() {
      if (waiting.length > 0) write();
      await writing;
      return rows;
    },
  };
}
