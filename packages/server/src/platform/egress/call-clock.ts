import type { Clock } from '../../kernel/clock.js';
import { type CallClock, ClientGone, type ClientPresence, type Ending } from './egress.js';
import { upstreamTimeout } from './errors.js';

/** The one clock of a call (dataplane §1.4). Every call has one, so it calls back and makes no AbortSignal. */
export function startCallClock(clock: Clock, timeoutMs: number, client: ClientPresence): CallClock {
  return new RunningClock(clock, timeoutMs, client);
}

class RunningClock implements CallClock {
  readonly #cancelTimer: () => void;
  #callbacks: ((error: Error) => void)[] = [];
  #ended: Error | null = null;

  constructor(
    clock: Clock,
    readonly timeoutMs: number,
    client: ClientPresence,
  ) {
    this.#cancelTimer = clock.setTimer(timeoutMs, () => this.#end(upstreamTimeout()));
    if (client.isGone) this.#end(new ClientGone());
    else client.onGone(() => this.#end(new ClientGone()));
  }

  get ended(): Error | null {
    return this.#ended;
  }

  onEnd(callback: (error: Error) => void): () => void {
    if (this.#ended) {
      callback(this.#ended);
      return () => {};
    }
    this.#callbacks.push(callback);
    return () => {
      const at = this.#callbacks.indexOf(callback);
      if (at !== -1) this.#callbacks.splice(at, 1);
    };
  }

  stop(): void {
    this.#cancelTimer();
  }

  #end(error: Error): void {
    if (this.#ended) return;
    this.#ended = error;
    this.#cancelTimer();
    for (const callback of this.#callbacks.splice(0)) callback(error);
  }
}

/** The promise, unless the wait ends first. What the promise brings later is dropped. */
export function within<T>(promise: Promise<T>, ending: Ending): Promise<T> {
  return new Promise((resolve, reject) => {
    const letGo = ending.onEnd(reject);
    promise.then(resolve, reject).finally(letGo);
  });
}
