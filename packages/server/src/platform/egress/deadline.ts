import type { Clock } from '../../kernel/clock.js';
import type { ClientPresence } from './egress.js';

/** Ends a call whatever it is at: the guard's own clock stops at the headers, and a slow body goes on for ever. */
export class Deadline implements ClientPresence {
  readonly #callbacks: (() => void)[] = [];
  readonly cancel: () => void;
  isGone = false;

  constructor(clock: Clock, timeoutMs: number) {
    this.cancel = clock.setTimer(timeoutMs, () => this.end());
  }

  /** Before its time. */
  end(): void {
    if (this.isGone) return;
    this.isGone = true;
    for (const callback of this.#callbacks) callback();
  }

  onGone(callback: () => void): void {
    this.#callbacks.push(callback);
  }
}
