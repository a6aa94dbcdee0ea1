import { Transform, type TransformCallback } from 'node:stream';
import { GrowingBuffer } from '../../../kernel/growing-buffer.js';
import { LIMITS } from '../../../kernel/limits.js';
import { answerTooLong } from './errors.js';

/**
 * Collects an answer that actions look into, and lets it go as they leave it: the head waits for it, so that what cannot be
 * acted on is refused with 502. It stands behind the decoder and before redaction.
 */
export class AnswerActions extends Transform {
  readonly #collected = new GrowingBuffer();

  constructor(private readonly act: (body: Buffer) => Promise<Buffer>) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#collected.length + chunk.length > LIMITS.redactionBodyBytesMax) {
      done(answerTooLong());
      return;
    }
    this.#collected.append(chunk);
    done();
  }

  override _flush(done: TransformCallback): void {
    this.act(this.#collected.take(this.#collected.length)).then(
      (body) => done(null, body),
      (error: Error) => done(error),
    );
  }
}
