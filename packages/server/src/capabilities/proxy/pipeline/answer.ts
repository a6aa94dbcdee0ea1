import type { ServerResponse } from 'node:http';
import { pipeline, type Transform, Writable } from 'node:stream';
import type { RequestId } from '../../../kernel/ids.js';
import type { RateLimitStatus } from '../../../kernel/rate-limit.js';
import type { UpstreamHead } from '../../../platform/egress/egress.js';
import { pushRateLimit } from '../../../platform/http/rate-limit-headers.js';
import type { RedactionPlan } from '../../redaction/index.js';
import { hasHeader, hasRateLimit, headerValue, passedHeaders } from '../response-headers.js';

/** Writes the upstream's answer to the caller: head rewritten, body passed on or through redaction. */
export function beginAnswer(
  response: ServerResponse,
  method: string,
  requestId: RequestId,
  plan: RedactionPlan,
  upstream: UpstreamHead,
  rateLimit: RateLimitStatus | null,
): Writable {
  const { status } = upstream;
  const planned = plan.head(status, passedHeaders(upstream.rawHeaders), method);
  const rawHeaders = planned.rawHeaders;
  rawHeaders.push('X-Knox-Destination-Status', String(status), 'X-Request-Id', requestId);
  // An upstream's own limits are what its clients act on: ours do not mix with them (docs/decisions/0035).
  if (rateLimit !== null && !hasRateLimit(rawHeaders)) pushRateLimit(rawHeaders, rateLimit);
  const isBodiless = method === 'HEAD' || status === 204 || status === 304;
  if (planned.body.length === 0 || isBodiless) {
    response.writeHead(status, rawHeaders);
    if (!hasHeader(rawHeaders, 'content-length')) flushUnlessBodyFollows(response);
    return response;
  }
  const sink = new HeldAnswer(response, status, rawHeaders);
  if (isRecordStream(headerValue(rawHeaders, 'content-type'))) sink.begin();
  return new InspectedAnswer(planned.body, sink);
}

/** A head whose body is still to come must not wait for it; one whose body follows at once shares its packet. */
function flushUnlessBodyFollows(response: ServerResponse): void {
  const { socket } = response;
  const written = socket?.bytesWritten;
  queueMicrotask(() => {
    if (socket === response.socket && socket?.bytesWritten === written && !response.writableEnded) {
      response.flushHeaders();
    }
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

/**
 * Holds the head back until redaction lets the first bytes go: until then a body that it must not pass can still be
 * refused with 502 instead of a broken stream.
 */
class HeldAnswer extends Writable {
  readonly #response: ServerResponse;
  readonly #status: number;
  readonly #rawHeaders: string[];

  constructor(response: ServerResponse, status: number, rawHeaders: string[]) {
    super();
    this.#response = response;
    this.#status = status;
    this.#rawHeaders = rawHeaders;
  }

  begin(): void {
    if (this.#response.headersSent) return;
    this.#response.writeHead(this.#status, this.#rawHeaders);
    this.#response.flushHeaders();
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    if (!this.#response.headersSent) this.#response.writeHead(this.#status, this.#rawHeaders);
    this.#writePieces(chunk, 0, callback);
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

  override _final(callback: () => void): void {
    if (!this.#response.headersSent) this.#response.writeHead(this.#status, this.#rawHeaders);
    this.#response.end(callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (error !== null && this.#response.headersSent) this.#response.destroy();
    callback(error);
  }
}
