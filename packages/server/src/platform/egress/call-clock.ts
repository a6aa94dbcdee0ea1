import type { Clock } from '../../kernel/clock.js';
import { type CallClock, ClientGone } from './egress.js';
import { upstreamTimeout } from './errors.js';

/** The one clock of a call (dataplane §1.4): its signal's reason is the error that the call then ends with. */
export function startCallClock(clock: Clock, timeoutMs: number, clientGone: AbortSignal): CallClock {
  const controller = new AbortController();
  const startedAtMs = clock.monotonicMs();
  const onGone = () => controller.abort(new ClientGone());
  const cancelTimer = clock.setTimer(timeoutMs, () => controller.abort(upstreamTimeout()));
  if (clientGone.aborted) onGone();
  else clientGone.addEventListener('abort', onGone, { once: true });
  return {
    startedAtMs,
    timeoutMs,
    signal: controller.signal,
    remainingMs: () => Math.max(0, startedAtMs + timeoutMs - clock.monotonicMs()),
    headArrived: cancelTimer,
    stop() {
      cancelTimer();
      clientGone.removeEventListener('abort', onGone);
    },
  };
}

/** The promise, unless the clock ends first. What the promise brings later is dropped. */
export function within<T>(promise: Promise<T>, { signal }: CallClock): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      promise.catch(() => {});
      return reject(signal.reason);
    }
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
