import { Writable } from 'node:stream';
import type { Clock } from '../../kernel/clock.js';
import { Deadline } from './deadline.js';
import type { Egress, EgressPolicy } from './egress.js';

export interface SmallRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | null;
}

export interface SmallAnswer {
  readonly status: number;
  /** In lower case; of a repeated one the last. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** One call whose answer is held in memory, last byte included within `timeoutMs`. Throws what the guard throws. */
export type SmallCall = (request: SmallRequest, policy: EgressPolicy) => Promise<SmallAnswer>;

export interface SmallCallsDeps {
  readonly clock: Clock;
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock' | 'stream'>;
  readonly timeoutMs: number;
  readonly answerBytesMax: number;
}

/** For clients of other makers that let their connections be made by a function: this one goes through the guard. */
export function createSmallCalls({ clock, egress, timeoutMs, answerBytesMax }: SmallCallsDeps): SmallCall {
  return async (request, policy) => {
    const deadline = new Deadline(clock, timeoutMs);
    try {
      const url = egress.parse(request.url, policy);
      const callClock = egress.startClock(timeoutMs, deadline);
      const target = await egress.judge(url, policy, callClock);
      const body = new Collected(answerBytesMax);
      let head = { status: 0, headers: {} as Record<string, string> };
      await egress.stream(
        target,
        {
          method: request.method,
          path: `${url.pathname}${url.search}`,
          headers: Object.entries(request.headers).flat(),
          body: bytesOf(request.body),
          clock: callClock,
          idleTimeoutMs: timeoutMs,
        },
        ({ status, rawHeaders }) => {
          head = { status, headers: headersOf(rawHeaders) };
          return body;
        },
      );
      return { ...head, body: body.bytes() };
    } finally {
      deadline.cancel();
    }
  };
}

function bytesOf(body: SmallRequest['body']): Buffer | null {
  if (body === null || typeof body === 'string') return body === null ? null : Buffer.from(body, 'utf8');
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}

function headersOf(raw: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i + 1 < raw.length; i += 2) headers[raw[i]!.toLowerCase()] = raw[i + 1]!;
  return headers;
}

class Collected extends Writable {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  constructor(private readonly bytesMax: number) {
    super();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    this.#length += chunk.length;
    const isTooLong = this.#length > this.bytesMax;
    if (!isTooLong) this.#chunks.push(chunk);
    done(isTooLong ? new Error(`the answer is longer than ${this.bytesMax} bytes`) : undefined);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}
