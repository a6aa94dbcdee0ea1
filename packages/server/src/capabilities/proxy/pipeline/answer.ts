import type { ServerResponse } from 'node:http';
import { pipeline, type Transform, Writable } from 'node:stream';
import { GrowingBuffer } from '../../../kernel/growing-buffer.js';
import { LIMITS } from '../../../kernel/limits.js';
import { atTurnEnd } from '../../../kernel/turn-end.js';
import type { UpstreamHead } from '../../../platform/egress/egress.js';
import { pushRateLimit } from '../../../platform/http/rate-limit-headers.js';
import type { EchoScanner, RedactionPlan } from '../../redaction/index.js';
import type { ProxyCall } from '../call.js';
import { hasRateLimit, headerValue, passedHeaders } from '../response-headers.js';
import { type AnswerRules, answerActions } from './answer-rules.js';

/** Writes the upstream's answer to the caller: head rewritten, body passed on, guarded or through redaction. */
export function beginAnswer(
  call: ProxyCall,
  plan: RedactionPlan,
  upstream: UpstreamHead,
  onAnswer: AnswerRules | null = null,
): Writable {
  const { method, guard, rateLimit } = call;
  const { response } = call.exchange;
  const { status } = upstream;
  const isBodiless = method === 'HEAD' || status === 204 || status === 304;
  const passed = passedHeaders(upstream.rawHeaders);
  const acting = onAnswer === null || isBodiless ? null : answerActions(onAnswer, passed);
  const planned = plan.head(status, acting === null ? passed : acting.rawHeaders, method, guard);
  const { echo } = planned;
  const body = acting === null ? planned.body : [acting.transform, ...planned.body];
  const head = (): string[] => {
    const isCounted = echo === null || echo.scanner.isEnded;
    const isSame = echo !== null && isCounted && body.length === 0 && !echo.scanner.hasReplaced;
    const rawHeaders = isSame ? echo.unchangedHeaders : planned.rawHeaders;
    call.stamp(rawHeaders, status);
    if (guard && isCounted && guard.guarded > 0)
      rawHeaders.push('X-Knox-Echo-Guarded', String(guard.guarded));
    // An upstream's own limits are what its clients act on: ours do not mix with them (docs/decisions/0035).
    if (rateLimit !== null && !hasRateLimit(rawHeaders)) pushRateLimit(rawHeaders, rateLimit);
    return rawHeaders;
  };
  if ((body.length === 0 && echo === null) || isBodiless) {
    response.writeHead(status, head());
    leaveWithTurn(response);
    return response;
  }
  const isRecords = isRecordStream(headerValue(passed, 'content-type'));
  const heldBytesMax = echo?.mayWait && !isRecords ? LIMITS.echoHeldBytesMax : 0;
  const scanner = planned.body.length === 0 ? (echo?.scanner ?? null) : null;
  const sink = new HeldAnswer({ response, status, head, heldBytesMax, scanner });
  if (isRecords) sink.begin();
  return body.length === 0 ? sink : new InspectedAnswer(body, sink);
}

/** What of it comes in this turn leaves as one; a head whose body is still to come does not wait for it. */
function leaveWithTurn(response: ServerResponse): void {
  const { socket } = response;
  if (socket === null) {
    // Of a pipelined request: it leaves when its turn comes.
    response.flushHeaders();
    return;
  }
  const written = socket.bytesWritten;
  socket.cork();
  atTurnEnd(() => {
    const isBare = socket === response.socket && socket.bytesWritten === written && !response.writableEnded;
    if (isBare) response.flushHeaders();
    socket.uncork();
  });
}

function isRecordStream(contentType: string | null): boolean {
  const type = contentType?.toLowerCase() ?? '';
  return type.startsWith('text/event-stream') || type.includes('ndjson') || type.includes('jsonl');
}

/** Redaction and what it lets go as one writable: finished when the caller has everything, not when redaction has. */
class InspectedAnswer extends Writable {
  readonly #inspection: Transform;
  #delivered: () => void = () => {};

  constructor(inspection: readonly Transform[], sink: HeldAnswer) {
    super();
    this.#inspection = inspection[0]!;
    sink.on('progress', () => this.emit('progress'));
    // A failure destroys the sink too, which breaks off the answer or leaves it to be refused.
    pipeline([...inspection, sink], (error) => {
      if (error) this.destroy(error);
      else this.#delivered();
    });
  }

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    if (this.#inspection.write(chunk)) callback();
    else this.#inspection.once('drain', callback);
  }

  override _final(callback: () => void): void {
    this.#delivered = callback;
    this.#inspection.end();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#inspection.destroy(error ?? undefined);
    callback(error);
  }
}

/** A whole document leaves redaction at once; written in pieces, each that the client takes counts as progress. */
const PIECE_BYTES = 64 * 1024;
const NONE = Buffer.alloc(0);

interface HeldAnswerOptions {
  readonly response: ServerResponse;
  readonly status: number;
  /** Asked for when it is written, once. */
  readonly head: () => string[];
  /** So much waits for the end, so that the head can tell what was found; 0 where the first bytes take it along. */
  readonly heldBytesMax: number;
  /** What the body has to pass here; null where it has passed all. */
  readonly scanner: EchoScanner | null;
}

/**
 * Holds the head back until inspection lets the first bytes go: until then a body that it must not pass can still be
 * refused with 502 instead of a broken stream.
 */
class HeldAnswer extends Writable {
  readonly #options: HeldAnswerOptions;
  readonly #response: ServerResponse;
  /** As it came, while nothing of it has gone on. */
  readonly #held = new GrowingBuffer();
  #isHolding = true;

  constructor(options: HeldAnswerOptions) {
    super();
    this.#options = options;
    this.#response = options.response;
  }

  begin(): void {
    this.#writeHead();
    this.#response.flushHeaders();
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    if (this.#mayHold(chunk)) {
      callback();
      return;
    }
    let passed: Buffer;
    try {
      passed = this.#passOn(chunk);
      if (passed.length > 0) this.#writeHead();
    } catch (error) {
      callback(error as Error);
      return;
    }
    if (passed.length === 0) callback();
    else this.#writePieces(passed, 0, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    let last: Buffer;
    try {
      last = this.#passLast();
      this.#writeHead();
    } catch (error) {
      callback(error as Error);
      return;
    }
    if (last.length <= PIECE_BYTES) this.#response.end(last, callback);
    else this.#writePieces(last, 0, () => this.#response.end(callback));
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (error !== null && this.#response.headersSent) this.#response.destroy();
    callback(error);
  }

  #mayHold(chunk: Buffer): boolean {
    if (!this.#isHolding || this.#held.length + chunk.length > this.#options.heldBytesMax) return false;
    this.#held.append(chunk);
    return true;
  }

  #passOn(chunk: Buffer): Buffer {
    const bytes = this.#isHolding ? this.#allWith(chunk) : chunk;
    return this.#options.scanner?.push(bytes) ?? bytes;
  }

  /** What was held to the end is looked at as a whole. */
  #passLast(): Buffer {
    const { scanner } = this.#options;
    if (!this.#isHolding) return scanner?.end() ?? NONE;
    const bytes = this.#allWith(NONE);
    return scanner?.whole(bytes) ?? bytes;
  }

  #allWith(chunk: Buffer): Buffer {
    this.#isHolding = false;
    if (this.#held.length === 0) return chunk;
    this.#held.append(chunk);
    return this.#held.take(this.#held.length);
  }

  #writeHead(): void {
    if (this.#response.headersSent) return;
    this.#response.writeHead(this.#options.status, this.#options.head());
  }

  #writePieces(chunk: Buffer, from: number, done: () => void): void {
    const response = this.#response;
    for (let at = from; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + PIECE_BYTES);
      at += piece.length;
      if (!response.write(piece)) {
        response.once('drain', () => {
          this.emit('progress');
          this.#writePieces(chunk, at, done);
        });
        return;
      }
    }
    done();
  }
}
