import { inspect } from 'node:util';

/** What stands where a secret would. */
export const MASK_TEXT = '[SECRET]';

/**
 * A value that must not reach a log, an error or a JSON body by accident: every way of printing it gives a mask.
 * `reveal()` is the one way out, so that a search for it lists every place where a secret leaves its wrapper.
 */
export class Secret<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return MASK_TEXT;
  }

  toJSON(): string {
    return MASK_TEXT;
  }

  [inspect.custom](): string {
    return MASK_TEXT;
  }
}
