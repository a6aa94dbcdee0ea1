import { Transform, type TransformCallback } from 'node:stream';
import type { AppError } from '../../../kernel/errors.js';
import { redactionFailed } from '../errors.js';

/** Whether a text begins with a byte order mark of UTF-16 or UTF-32: readers believe it over the head. */
export class WideMark {
  #first: number | null = null;
  #isDecided = false;

  /** True for the piece that completes a mark: its two bytes may come in two. */
  endsIn(chunk: Buffer): boolean {
    if (this.#isDecided) return false;
    for (const byte of chunk.subarray(0, 2)) {
      if (this.#first !== null) {
        this.#isDecided = true;
        return (this.#first === 0xff && byte === 0xfe) || (this.#first === 0xfe && byte === 0xff);
      }
      this.#first = byte;
    }
    return false;
  }
}

/** Fails for text that is said to be UTF-16 or UTF-32 by its mark. */
export abstract class NarrowTextTransform extends Transform {
  readonly #mark = new WideMark();

  protected abstract takeText(chunk: Buffer, done: TransformCallback): void;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#mark.endsIn(chunk)) done(wideText());
    else this.takeText(chunk, done);
  }
}

export function wideText(): AppError {
  return redactionFailed('the body is in a character set that redaction does not read');
}
