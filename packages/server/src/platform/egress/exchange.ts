import { Readable, type Writable } from 'node:stream';
import { type Dispatcher, errors } from 'undici';
import type { Clock } from '../../kernel/clock.js';
import { AppError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import { atTurnEnd } from '../../kernel/turn-end.js';
import { type Connection, type ConnectionPools, StaleConnection } from './connection-pools.js';
import { ClientGone, type UpstreamCall, type UpstreamHead } from './egress.js';
import {
  bodyLengthMismatch,
  codeOf,
  invalidAnswer,
  responseHeadersTooLarge,
  unsendable,
  upstreamSilent,
  upstreamTlsError,
  upstreamUnreachable,
} from './errors.js';

export interface ExchangeDeps {
  readonly clock: Clock;
  readonly pools: ConnectionPools;
}

export type ExchangeOutcome = 'done' | 'stale';

/** One request and its answer on a connection. `stale`: nothing was sent, another connection may take the call. */
export function exchange(
  deps: ExchangeDeps,
  connection: Connection,
  call: UpstreamCall,
  onHead: (head: UpstreamHead) => Writable,
): Promise<ExchangeOutcome> {
  return new Promise((resolve, reject) => {
    new Exchange(deps, connection, call, onHead, resolve, reject).start();
  });
}

/** Headers that frame the message or name its target: the guard's own, never the caller's. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'transfer-encoding',
  'connection',
  'proxy-connection',
  'keep-alive',
  'upgrade',
  'expect',
]);

const BODILESS: ReadonlySet<number> = new Set([204, 304]);

/** The old style of handler: it gets raw headers, and undici parses none into an object that nobody reads. */
class Exchange implements Dispatcher.DispatchHandler {
  #abort: ((error: Error) => void) | null = null;
  #resume: (() => void) | null = null;
  #writable: Writable | null = null;
  #failure: Error | null = null;
  #status = 0;
  #isComplete = false;
  #isSettled = false;
  #isTurnAwaited = false;
  #lastActivityMs = 0;
  #cancelIdleTimer: (() => void) | null = null;
  #leaveClock: (() => void) | null = null;

  constructor(
    private readonly deps: ExchangeDeps,
    private readonly connection: Connection,
    private readonly call: UpstreamCall,
    private readonly onHead: (head: UpstreamHead) => Writable,
    private readonly resolve: (outcome: ExchangeOutcome) => void,
    private readonly reject: (error: Error) => void,
  ) {}

  start(): void {
    const { method, path, headers, body, clock } = this.call;
    // A tunnel, and an absolute form or fragment that undici would send as it is.
    if (method === 'CONNECT' || !path.startsWith('/') || path.includes('#')) {
      this.#fail(unsendable(new Error('method or path')));
      return;
    }
    this.#leaveClock = clock.onEnd(this.#fail);
    if (this.#isSettled) return;
    const sent = {
      method: method as Dispatcher.HttpMethod,
      path,
      headers: sendableHeaders(headers, body),
      body,
    };
    this.connection.client.dispatch(sent, this);
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.#failure) abort(this.#failure);
    else this.#abort = abort;
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void): boolean {
    // Interim answers (1xx) are of no use to the caller.
    if (status < 200) return true;
    this.#status = status;
    this.call.clock.stop();
    // Before the answer puts anything off: if it is over by then, its end takes all of it along.
    this.#endWithTurn();
    const writable = this.onHead({ status, rawHeaders: rawHeadersOf(headers) });
    this.#resume = resume;
    this.#writable = writable;
    writable
      .on('drain', this.#onDrain)
      .on('progress', this.#onProgress)
      .on('close', this.#onWritableClosed)
      .on('error', this.#onWritableClosed);
    if (writable.destroyed) this.#onWritableClosed();
    return !writable.writableNeedDrain;
  }

  onData(chunk: Buffer): boolean {
    this.#touch();
    return this.#writable!.write(chunk);
  }

  onBodySent(): void {
    this.#touch();
  }

  onComplete(): void {
    this.deps.pools.release(this.connection);
    this.#complete();
  }

  onError(error: Error): void {
    // One that is lost before its first call would be lost again: only what was kept is replaced.
    if (error instanceof StaleConnection && this.connection.hasServed && !this.#failure) {
      this.deps.pools.discard(this.connection);
      this.#settle(() => this.resolve('stale'));
    } else if (BODILESS.has(this.#status) && codeOf(error) === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
      // RFC 9110 §8.6: such an answer may tell the length that a 200 would have; undici misses the bytes.
      this.deps.pools.discard(this.connection);
      this.#complete();
    } else {
      this.#fail(this.#explain(error));
    }
  }

  #complete(): void {
    this.#isComplete = true;
    this.#endWithTurn();
  }

  /** Answers that are complete by the end of a turn leave together, unless their call has ended by then. */
  #endWithTurn(): void {
    if (this.#isTurnAwaited) return;
    this.#isTurnAwaited = true;
    atTurnEnd(() => {
      this.#isTurnAwaited = false;
      if (this.#isSettled) return;
      try {
        if (this.#isComplete) this.#end();
      } catch (error) {
        this.#fail(error as Error);
      }
      // A short answer is over with this turn, and needs no timer.
      queueMicrotask(() => this.#watchSilence());
    });
  }

  #end(): void {
    this.#writable!.end((error?: Error | null) => {
      // Called with what the last bytes failed with, before any `error` event.
      if (error) this.#onWritableClosed(error);
      else this.#settle(() => this.resolve('done'));
    });
  }

  #watchSilence(): void {
    if (this.#isSettled || this.#cancelIdleTimer) return;
    this.#lastActivityMs = this.deps.clock.monotonicMs();
    this.#armIdleTimer(this.call.idleTimeoutMs);
  }

  #onDrain = (): void => {
    // Once the answer is complete the connection is another call's.
    if (this.#isComplete || this.#isSettled) return;
    this.#touch();
    this.#resume?.();
  };

  #onProgress = (): void => this.#touch();

  #onWritableClosed = (error?: Error): void => {
    if (!this.#writable?.writableFinished)
      this.#fail(error instanceof AppError ? error : new ClientGone(error));
  };

  /** Until there is a timer nobody asks. */
  #touch(): void {
    if (this.#cancelIdleTimer) this.#lastActivityMs = this.deps.clock.monotonicMs();
  }

  /** Silence of either side. One timer that looks when it was last woken, not one a chunk. */
  #armIdleTimer(delayMs: number): void {
    this.#cancelIdleTimer = this.deps.clock.setTimer(delayMs, () => {
      const silentMs = this.deps.clock.monotonicMs() - this.#lastActivityMs;
      if (silentMs >= this.call.idleTimeoutMs) this.#fail(upstreamSilent());
      else this.#armIdleTimer(this.call.idleTimeoutMs - silentMs);
    });
  }

  #fail = (error: Error): void => {
    if (this.#isSettled) return;
    this.#failure = error;
    this.#settle(() => this.reject(error));
    this.#writable?.destroy(error);
    if (this.#isComplete) return;
    this.#abort?.(error);
    this.deps.pools.discard(this.connection);
  };

  #settle(report: () => void): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#cancelIdleTimer?.();
    this.#leaveClock?.();
    report();
  }

  #explain(error: Error): Error {
    if (error instanceof AppError || error instanceof ClientGone) return error;
    const { body } = this.call;
    const code = codeOf(error);
    if (code === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH') return bodyLengthMismatch(error);
    if (code === 'UND_ERR_ABORTED' || (body instanceof Readable && body.errored === error)) {
      return new ClientGone(error);
    }
    if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') return unsendable(error);
    if (code.startsWith('ERR_SSL_')) return upstreamTlsError(error);
    if (code === 'UND_ERR_HEADERS_OVERFLOW') return responseHeadersTooLarge(error);
    if (error instanceof errors.HTTPParserError || error.message === 'bad response')
      return invalidAnswer(error);
    return upstreamUnreachable('The upstream closed the connection before its answer was complete', error);
  }
}

function sendableHeaders(headers: readonly string[], body: UpstreamCall['body']): string[] {
  const sendable: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]!.toLowerCase();
    // A buffer's length is its own; a stream that breaks its word fails the call.
    if (OWN_HEADERS.has(name) || (name === 'content-length' && !(body instanceof Readable))) continue;
    sendable.push(headers[i]!, headers[i + 1]!);
  }
  return sendable;
}

/**
 * Header bytes need not be UTF-8; latin1 keeps each as one character. `Alt-Svc` would lead past us (S109). So many lines
 * that clients cut them would hide our markers from them. A coding that stays on the body cannot be told to the client.
 */
function rawHeadersOf(headers: readonly Buffer[]): string[] {
  if (headers.length > 2 * LIMITS.responseHeadersMax) throw responseHeadersTooLarge();
  const raw: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!.toString('latin1');
    const value = headers[i + 1]!.toString('latin1');
    if (name.length === 17 && name.toLowerCase() === 'transfer-encoding' && value.toLowerCase() !== 'chunked')
      throw invalidAnswer(new Error('Transfer-Encoding'));
    if (name.length !== 7 || name.toLowerCase() !== 'alt-svc') raw.push(name, value);
  }
  return raw;
}
