import { Transform, type TransformCallback } from 'node:stream';
import type { AppError } from '../../../kernel/errors.js';
import { redactionFailed } from '../errors.js';

/** Fails for text that a byte order mark says to be UTF-16 or UTF-32: readers believe it over the head. */
export abstract class NarrowTextTransform extends Transform {
  #first: number | null = null;
  #isDecided = false;

  protected abstract takeText(chunk: Buffer, done: TransformCallback): void;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (!this.#isDecided && this.#endsWideMark(chunk)) done(wideText());
    else this.takeText(chunk, done);
  }

  /** The mark's two bytes may come in two chunks. */
  #endsWideMark(chunk: Buffer): boolean {
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

export function wideText(): AppError {
  return redactionFailed('the body is in a character set that redaction does not read');
}
