import { Transform, type TransformCallback } from 'node:stream';
import type { TextEncoding } from '../engine/byte-text.js';
import { EchoScanner } from './echo-scanner.js';
import { type DetokenizedValue, EchoSearch, recurringSearch } from './echo-search.js';
import type { Syntax } from './number-track.js';

/** Keeps the values of one call out of its answer: what comes back is the token again (dataplane §7). */
export class EchoGuard {
  readonly #search: EchoSearch;
  #guarded = 0;

  /** `recurs`: the same values, as objects, are sent by many calls. */
  constructor(values: readonly DetokenizedValue[], { recurs = false } = {}) {
    this.#search = recurs ? recurringSearch(values) : new EchoSearch(values);
  }

  /** Values that are not looked for: too short to be told from other text, or of a vault that does not want it. */
  get notGuarded(): number {
    return this.#search.notGuarded;
  }

  get isActive(): boolean {
    return this.#search.bytesMin !== Infinity;
  }

  /** What is shorter holds none of the values, whichever way it is written. */
  get bytesMin(): number {
    return this.#search.bytesMin;
  }

  /** How often a token took the place of its value. */
  get guarded(): number {
    return this.#guarded;
  }

  scanner(encoding: TextEncoding, syntax: Syntax): EchoScanner {
    return new EchoScanner({
      search: this.#search.in(encoding),
      encoding,
      syntax,
      onReplaced: () => {
        this.#guarded++;
      },
    });
  }
}

/** The guard as a part of a longer way. */
export class EchoTransform extends Transform {
  readonly #scanner: EchoScanner;

  constructor(scanner: EchoScanner) {
    super();
    this.#scanner = scanner;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      done(null, this.#scanner.push(chunk));
    } catch (error) {
      done(error as Error);
    }
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#scanner.end());
  }
}
