import { AppError } from '../../kernel/errors.js';
import type { KeyAlgorithm } from '../x509/index.js';

/** Who draws a key that takes seconds of a thread, of which the process has few. */
export interface Turns {
  forKey<T>(algorithm: KeyAlgorithm, act: () => Promise<T>): Promise<T>;
}

/** Half of the threads that there are for files, names, passwords and keys. */
const AT_ONCE_MAX = 2;
const WAITING_MAX = 50;
const RETRY_SECONDS = 5;

/** RSA keys are drawn by two at a time; what waits is bounded too, 503 beyond. Those of curves take no time. */
export function createTurns(): Turns {
  let running = 0;
  const waiting: (() => void)[] = [];

  async function enter(): Promise<void> {
    if (running < AT_ONCE_MAX) {
      running += 1;
      return;
    }
    if (waiting.length >= WAITING_MAX) {
      const options = { dependency: 'keys', retryAfterSeconds: RETRY_SECONDS };
      throw new AppError('dependency_unavailable', 'Too many RSA keys are being made at once', options);
    }
    // The turn is handed on as it is: `running` stays.
    await new Promise<void>((resolve) => waiting.push(resolve));
  }

  function leave(): void {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }

  return {
    async forKey(algorithm, act) {
      if (!algorithm.startsWith('rsa-')) return act();
      await enter();
      try {
        return await act();
      } finally {
        leave();
      }
    },
  };
}
