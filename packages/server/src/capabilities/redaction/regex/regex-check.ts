import type { Clock } from '../../../kernel/clock.js';
import { createLine } from '../../../kernel/line.js';
import { redactionBusy } from '../errors.js';
import { COMPILE_MS, startRegexThread } from './regex-thread.js';

/** As it crosses to the thread; answered by one message for each, in their order. */
export interface CheckQuestion {
  readonly check: readonly string[];
}

/** What is wrong with each expression, null where nothing is. */
export type RegexCheck = (patterns: readonly string[]) => Promise<readonly (string | null)[]>;

const WAITING_MAX = 32;
const TOO_LONG = 'takes too long to be compiled, alone or with those before it';

/** In a thread of its own: some expressions of 512 characters take a second to be compiled. */
export function createRegexCheck(clock: Pick<Clock, 'setTimer'>): RegexCheck {
  const line = createLine({ atOnceMax: 1, waitingMax: WAITING_MAX, refusal: redactionBusy });
  return async (patterns) => (patterns.length === 0 ? [] : line.inTurn(() => checkOnce(clock, patterns)));
}

function checkOnce(clock: Pick<Clock, 'setTimer'>, patterns: readonly string[]): Promise<(string | null)[]> {
  return new Promise((resolve) => {
    const problems: (string | null)[] = [];
    const worker = startRegexThread('redaction-regex-check');
    const stopTimer = clock.setTimer(COMPILE_MS, () => void worker.terminate());
    worker.on('message', (message: 'ready' | { readonly problem: string | null }) => {
      if (message === 'ready') worker.postMessage({ check: patterns } satisfies CheckQuestion);
      else if (problems.push(message.problem) === patterns.length) void worker.terminate();
    });
    // Out of memory; the end follows.
    worker.on('error', () => {});
    worker.on('exit', () => {
      stopTimer();
      resolve(patterns.map((_, i) => problems[i] ?? (i < problems.length ? null : TOO_LONG)));
    });
  });
}
