import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { GrowingBuffer } from '../../../kernel/growing-buffer.js';
import type { Promisable } from '../../../kernel/promisable.js';
import { type CallClock, ClientGone } from '../../../platform/egress/egress.js';
import { payloadTooLarge } from '../../../platform/http/json-body.js';
import type { ProxyCall } from '../call.js';

/** A client that waits for leave to send (RFC 9110 §10.1.1) gets it here: after the checks, before the first read. */
function invite(call: ProxyCall): void {
  const { response } = call.exchange;
  if (call.headers.expectsContinue && !response.headersSent) response.writeContinue();
}

function refuseDeclaredSize(call: ProxyCall, bytesMax: number): void {
  if ((call.headers.contentLength ?? 0) > bytesMax) throw payloadTooLarge(bytesMax);
}

/** The body that came in one piece with its head, as short ones do: it is there before the first step is over. */
function arrivedBody({ headers, exchange: { request } }: ProxyCall, bytesMax: number): Buffer | null {
  const { readableLength } = request;
  const isWhole = request.complete || readableLength === headers.contentLength;
  if (!isWhole || readableLength === 0) return null;
  if (readableLength > bytesMax) throw payloadTooLarge(bytesMax);
  const body = request.read() as Buffer;
  // Node may yet have to see the end that follows.
  if (!request.complete) request.resume();
  return body;
}

/** Reads the whole body, never more than `bytesMax` of it. */
export function bufferBody(call: ProxyCall, clock: CallClock, bytesMax: number): Promisable<Buffer> {
  refuseDeclaredSize(call, bytesMax);
  if (clock.ended) throw clock.ended;
  const arrived = arrivedBody(call, bytesMax);
  if (arrived !== null) return arrived;
  return isAboutToArrive(call) ? awaitedBody(call, clock, bytesMax) : collectBody(call, clock, bytesMax);
}

/** Node tells of a request once its head is parsed: a short body in the same packet is there when this turn is over. */
function isAboutToArrive({ headers, exchange }: ProxyCall): boolean {
  const { contentLength, expectsContinue } = headers;
  return (
    contentLength !== null &&
    contentLength <= SHORT_BODY_BYTES_MAX &&
    !expectsContinue &&
    !exchange.request.complete
  );
}

async function awaitedBody(call: ProxyCall, clock: CallClock, bytesMax: number): Promise<Buffer> {
  await null;
  if (clock.ended) throw clock.ended;
  return arrivedBody(call, bytesMax) ?? collectBody(call, clock, bytesMax);
}

function collectBody(call: ProxyCall, clock: CallClock, bytesMax: number): Promise<Buffer> {
  const { request } = call.exchange;
  return new Promise((resolve, reject) => {
    const collected = new GrowingBuffer();
    const onData = (chunk: Buffer): void => {
      if (collected.length + chunk.length > bytesMax) settle(() => reject(payloadTooLarge(bytesMax)));
      else collected.append(chunk);
    };
    const onEnd = (): void => settle(() => resolve(collected.take(collected.length)));
    const onLost = (): void => settle(() => reject(new ClientGone()));
    const onAbort = (): void => settle(() => reject(clock.ended));
    function settle(finish: () => void): void {
      request.off('data', onData).off('end', onEnd).off('error', onLost).off('close', onLost);
      leaveClock();
      finish();
    }
    const leaveClock = clock.onEnd(onAbort);
    request.on('data', onData).on('end', onEnd).on('error', onLost).on('close', onLost);
    invite(call);
  });
}

/** What was read of a body before it was known to be long, and what may refuse the rest. */
interface BegunBody {
  readonly start: Buffer;
  judge(chunk: Buffer): void;
}

/**
 * The body as it comes, counted on the way. It stands between the client's request and the upstream's client, which
 * destroys what it could not send: that must not take the client's connection with it, on which the answer is due.
 */
export class StreamedBody extends Readable {
  readonly #request: IncomingMessage;
  readonly #bytesMax: number;
  readonly #judge: ((chunk: Buffer) => void) | null;
  #start: Buffer | null;
  #bytes: number;
  #isReading = false;

  constructor(request: IncomingMessage, bytesMax: number, begun: BegunBody | null = null) {
    super();
    this.#request = request;
    this.#bytesMax = bytesMax;
    this.#judge = begun?.judge ?? null;
    this.#start = begun?.start ?? null;
    this.#bytes = begun?.start.length ?? 0;
  }

  override _read(): void {
    if (this.#start !== null) {
      const start = this.#start;
      this.#start = null;
      this.push(start);
      return;
    }
    if (this.#isReading) {
      this.#request.resume();
      return;
    }
    this.#isReading = true;
    this.#request
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('error', this.#onLost)
      .on('close', this.#onLost);
    // Whoever read its start has paused it.
    if (this.#judge !== null) this.#request.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#request
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('error', this.#onLost)
      .off('close', this.#onLost);
    // What is left is read and dropped, so that the connection stays in step for its next request.
    if (!this.#request.destroyed) this.#request.resume();
    callback(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#bytesMax) {
      this.destroy(payloadTooLarge(this.#bytesMax));
      return;
    }
    try {
      this.#judge?.(chunk);
    } catch (error) {
      this.destroy(error as Error);
      return;
    }
    if (!this.push(chunk)) this.#request.pause();
  };

  readonly #onEnd = (): void => {
    this.push(null);
  };

  readonly #onLost = (): void => {
    if (!this.#request.readableEnded) this.destroy(new ClientGone());
  };
}

/** Short bodies are sent in one write with the head; collecting them costs less than a stream. */
const SHORT_BODY_BYTES_MAX = 64 * 1024;

/** The body to forward without looking into it. */
export function passBody(
  call: ProxyCall,
  clock: CallClock,
  bytesMax: number,
): Promisable<Buffer | StreamedBody> {
  refuseDeclaredSize(call, bytesMax);
  const { contentLength } = call.headers;
  if (contentLength !== null && contentLength <= SHORT_BODY_BYTES_MAX)
    return bufferBody(call, clock, bytesMax);
  invite(call);
  return new StreamedBody(call.exchange.request, bytesMax);
}

export interface StartOptions {
  /** Up to here a body is read whole. */
  readonly wholeBytesMax: number;
  readonly bytesMax: number;
  /** For one that is longer: called with each piece before it goes on, throws where it may not. */
  createJudge(): (chunk: Buffer) => void;
}

/** The whole of a body, or one that streams on from where it became too long to be read whole. */
export function readStart(
  call: ProxyCall,
  clock: CallClock,
  options: StartOptions,
): Promisable<Buffer | StreamedBody> {
  refuseDeclaredSize(call, options.bytesMax);
  const { wholeBytesMax } = options;
  if ((call.headers.contentLength ?? Number.POSITIVE_INFINITY) <= wholeBytesMax)
    return bufferBody(call, clock, wholeBytesMax);
  if (clock.ended) throw clock.ended;
  return collectStart(call, clock, options);
}

function collectStart(
  call: ProxyCall,
  clock: CallClock,
  { wholeBytesMax, bytesMax, createJudge }: StartOptions,
): Promise<Buffer | StreamedBody> {
  const { request } = call.exchange;
  return new Promise((resolve, reject) => {
    const collected = new GrowingBuffer();
    const onData = (chunk: Buffer): void => {
      collected.append(chunk);
      if (collected.length <= wholeBytesMax) return;
      request.pause();
      settle(() => {
        const start = collected.take(collected.length);
        const judge = createJudge();
        judge(start);
        resolve(new StreamedBody(request, bytesMax, { start, judge }));
      });
    };
    const onEnd = (): void => settle(() => resolve(collected.take(collected.length)));
    const onLost = (): void => settle(() => reject(new ClientGone()));
    const onAbort = (): void => settle(() => reject(clock.ended));
    function settle(finish: () => void): void {
      request.off('data', onData).off('end', onEnd).off('error', onLost).off('close', onLost);
      leaveClock();
      try {
        finish();
      } catch (error) {
        // What is left is read and dropped, as of every body that is refused.
        request.resume();
        reject(error as Error);
      }
    }
    const leaveClock = clock.onEnd(onAbort);
    request.on('data', onData).on('end', onEnd).on('error', onLost).on('close', onLost);
    invite(call);
  });
}
