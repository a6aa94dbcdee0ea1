import type { Clock } from '../../../../kernel/clock.js';
import type { Random } from '../../../../platform/crypto/random.js';
import { KmsFailure, type KmsFailureReason } from '../types.js';

/** Contract README §7. */
export const KMS_CALL_MS = 5_000;
const ATTEMPTS_MAX = 3;
const BACKOFF_MS = 200;

export interface AttemptsDeps {
  readonly clock: Clock;
  readonly random: Random;
  onAttempt(result: 'ok' | KmsFailureReason, milliseconds: number): void;
}

/**
 * Up to three times where the failure may pass by itself; who is throttled three times cannot reach it. The clients'
 * own retries are off: theirs sleep by the machine's clock, and two layers of them would multiply.
 */
export async function withAttempts<T>(
  { clock, random, onAttempt }: AttemptsDeps,
  act: () => Promise<T>,
  failureOf: (error: unknown) => KmsFailure,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const startedAt = clock.monotonicMs();
    const end = (result: 'ok' | KmsFailureReason) => onAttempt(result, clock.monotonicMs() - startedAt);
    try {
      const value = await inTime(clock, act());
      end('ok');
      return value;
    } catch (error) {
      const failure = error instanceof KmsFailure ? error : failureOf(error);
      end(failure.reason);
      const { reason, stage, code } = failure;
      const mayPass = reason === 'unreachable' || reason === 'throttled';
      if (!mayPass) throw failure;
      if (attempt === ATTEMPTS_MAX) throw new KmsFailure('unreachable', stage, code);
      // Between half and the whole, so that processes that failed together do not come back together.
      const longestMs = BACKOFF_MS * 4 ** (attempt - 1);
      await wait(clock, longestMs / 2 + random.below(longestMs / 2));
    }
  }
}

/** Whoever was asked for an identity included: not all of that goes through our own door. */
function inTime<T>(clock: Clock, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimer(KMS_CALL_MS, () => reject(new KmsFailure('unreachable', 'key', 'timeout')));
    promise.then(resolve, reject).finally(cancel);
  });
}

function wait(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(delayMs, resolve);
  });
}
