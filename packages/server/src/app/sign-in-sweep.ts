import type { Sessions } from '../capabilities/accounts/index.js';
import type { Clock } from '../kernel/clock.js';
import type { Logger } from '../platform/log/logger.js';

export interface SignInSweepDeps {
  readonly sessions: Pick<Sessions, 'removeEnded'>;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn'>;
}

const EVERY_MS = 600_000;
const ROWS_MAX = 500;

/**
 * Removes what is left of sessions and of failed sign-ins: a batch each 10 minutes, the next at once while there is more.
 * Processes that do it at the same time do no harm. The function stops it and waits for the batch under way.
 */
export function startSignInSweep({ sessions, clock, logger }: SignInSweepDeps): () => Promise<void> {
  let cancelTimer = () => {};
  let batch: Promise<void> = Promise.resolve();
  let isStopped = false;

  function schedule(delayMs: number): void {
    cancelTimer = clock.setTimer(delayMs, () => {
      batch = sessions
        .removeEnded(ROWS_MAX)
        .catch((error: unknown) => {
          logger.warn({ err: error }, 'ended sessions were not removed');
          return false;
        })
        .then((hasMore) => {
          if (!isStopped) schedule(hasMore ? 0 : EVERY_MS);
        });
    });
  }

  schedule(EVERY_MS);
  return async () => {
    isStopped = true;
    cancelTimer();
    await batch;
  };
}
