import { Writable } from 'node:stream';
import type { Clock } from '../../kernel/clock.js';
import { Deadline } from './deadline.js';
import type { Egress, EgressPolicy } from './egress.js';
import { upstreamTimeout } from './errors.js';

export interface StatusRequest {
  readonly method: string;
  readonly url: string;
  /** Flat name, value list. */
  readonly headers: readonly string[];
  readonly body: Buffer | null;
  readonly timeoutMs: number;
}

export interface StatusAnswer {
  readonly status: number;
  readonly responseTimeMs: number;
}

/** One call of which the status alone is of interest. Throws what the guard throws. */
export type StatusCall = (
  request: StatusRequest,
  policy: EgressPolicy,
  signal?: AbortSignal,
) => Promise<StatusAnswer>;

/** What is read of an answer that nobody looks at, so that its connection can serve again. */
const DRAINED_BYTES_MAX = 64 * 1024;

export function createStatusCalls(deps: {
  readonly clock: Clock;
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock' | 'stream'>;
}): StatusCall {
  const { clock, egress } = deps;

  return async ({ method, url: rawUrl, headers, body, timeoutMs }, policy, signal) => {
    const startedMs = clock.monotonicMs();
    const deadline = new Deadline(clock, timeoutMs);
    const end = () => deadline.end();
    signal?.addEventListener('abort', end, { once: true });
    if (signal?.aborted) end();
    let answer: StatusAnswer | null = null;
    try {
      const url = egress.parse(rawUrl, policy);
      const callClock = egress.startClock(timeoutMs, deadline);
      const target = await egress.judge(url, policy, callClock);
      const call = {
        method,
        path: `${url.pathname}${url.search}`,
        headers,
        body,
        clock: callClock,
        idleTimeoutMs: timeoutMs,
      };
      await egress.stream(target, call, ({ status }) => {
        answer = { status, responseTimeMs: Math.round(clock.monotonicMs() - startedMs) };
        return new Drain();
      });
    } catch (error) {
      // The status had come: how its body ends is nobody's concern.
      if (answer === null) throw deadline.isGone && !signal?.aborted ? upstreamTimeout() : error;
    } finally {
      deadline.cancel();
      signal?.removeEventListener('abort', end);
    }
    return answer!;
  };
}

class Drain extends Writable {
  #left = DRAINED_BYTES_MAX;

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    this.#left -= chunk.length;
    done(this.#left < 0 ? new Error('more than is read') : undefined);
  }
}
