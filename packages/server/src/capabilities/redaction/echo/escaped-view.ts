import { bytesOf, type TextEncoding } from '../engine/byte-text.js';
import type { EchoPatterns } from './echo-patterns.js';

/** How a value may be written beside as it is: in a JSON string, percent-encoded, and so with `+` for a space. */
export type EscapedForm = 'json' | 'percent' | 'form';

const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;
const ESCAPES: Readonly<Record<EscapedForm, readonly number[]>> = {
  json: [BACKSLASH],
  percent: [PERCENT],
  form: [PERCENT, PLUS],
};
const JSON_ESCAPES: ReadonlyMap<number, number> = new Map(
  Object.entries({ '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }).map(
    ([written, meant]) => [written.charCodeAt(0), meant.charCodeAt(0)],
  ),
);

/**
 * A text as it reads when its escapes are undone. It runs along only while it differs from the text itself: from an
 * escape until both have matched the same last bytes, so that text without escapes costs nothing.
 */
export class EscapedView {
  readonly form: EscapedForm;
  readonly #patterns: EchoPatterns;
  readonly #encoding: TextEncoding;
  #isApart = false;
  #state = 0;
  /** Where each byte of the view begins in the text, from where it left the text; the last ones. */
  #starts: number[] = [];
  #partedAt = 0;
  /** The bytes of an escape that is not complete, and where it begins. */
  #escape: number[] = [];
  #escapeStart = 0;
  /** The first half of a surrogate pair that was written as an escape. */
  #highHalf = 0;
  #highStart = 0;

  constructor(form: EscapedForm, patterns: EchoPatterns, encoding: TextEncoding) {
    this.form = form;
    this.#patterns = patterns;
    this.#encoding = encoding;
  }

  get isApart(): boolean {
    return this.#isApart;
  }

  /** What an escape begins with. */
  get escapes(): readonly number[] {
    return ESCAPES[this.form];
  }

  begins(byte: number): boolean {
    return ESCAPES[this.form].includes(byte);
  }

  /** Leaves the text at this place, whose matching has come to `state`. */
  part(state: number, at: number): void {
    this.#isApart = true;
    this.#state = state;
    this.#partedAt = at;
    this.#starts = [];
  }

  /** Takes the next byte of the text. Returns where a value begins that ends with it; -1 when none does. */
  take(byte: number, at: number): number {
    if (this.#escape.length > 0) return this.#goOn(byte, at);
    if (byte === BACKSLASH && this.form === 'json') return this.#open(byte, at);
    if (byte === PERCENT && this.form !== 'json') return this.#open(byte, at);
    this.#dropHalf();
    return this.#emit(byte === PLUS && this.form === 'form' ? SPACE : byte, at);
  }

  /** The value that ends with the last byte taken. */
  get value(): number {
    return this.#patterns.completeAt(this.#state);
  }

  /** Nothing that begins before this place can become a value; `end` when nothing has begun. */
  settledBefore(end: number): number {
    const depth = this.#patterns.depth[this.#state]!;
    if (depth > 0) return this.#startOf(depth);
    if (this.#highHalf !== 0) return this.#highStart;
    return this.#escape.length > 0 ? this.#escapeStart : end;
  }

  /** Goes with the text again when both stand at the same place of the same value. */
  rejoin(state: number, end: number): void {
    if (this.#state !== state || this.#escape.length > 0 || this.#highHalf !== 0) return;
    const depth = this.#patterns.depth[state]!;
    if (depth === 0 || this.#startOf(depth) === end - depth) this.#isApart = false;
  }

  /** Where the last so many bytes of the view begin in the text. Until it left the text, each was itself. */
  #startOf(bytes: number): number {
    const parted = bytes - this.#starts.length;
    return parted > 0 ? this.#partedAt - parted : this.#starts[this.#starts.length - bytes]!;
  }

  #open(byte: number, at: number): number {
    this.#escape = [byte];
    this.#escapeStart = at;
    return -1;
  }

  #goOn(byte: number, at: number): number {
    const begun = this.#escape;
    const isHex = /[0-9A-Fa-f]/.test(String.fromCharCode(byte));
    const isUnicode = this.form === 'json' && begun.length >= 2;
    if (this.form === 'json' && begun.length === 1) {
      if (byte === 0x75) return this.#more(byte);
      const meant = JSON_ESCAPES.get(byte);
      if (meant === undefined) return this.#asWritten(byte, at);
      this.#escape = [];
      this.#dropHalf();
      return this.#emit(meant, this.#escapeStart);
    }
    if (!isHex) return this.#asWritten(byte, at);
    const length = isUnicode ? 6 : 3;
    if (begun.length + 1 < length) return this.#more(byte);
    const digits = [...begun.slice(isUnicode ? 2 : 1), byte];
    const unit = Number.parseInt(String.fromCharCode(...digits), 16);
    this.#escape = [];
    return isUnicode ? this.#unit(unit) : this.#emit(unit, this.#escapeStart);
  }

  #more(byte: number): number {
    this.#escape.push(byte);
    return -1;
  }

  /** No escape after all: its bytes stand for themselves. */
  #asWritten(byte: number, at: number): number {
    const written = this.#escape;
    this.#escape = [];
    this.#dropHalf();
    for (const [i, one] of written.entries()) this.#emit(one, this.#escapeStart + i);
    return this.take(byte, at);
  }

  #unit(unit: number): number {
    if (unit >= 0xd800 && unit <= 0xdbff) {
      this.#dropHalf();
      this.#highHalf = unit;
      this.#highStart = this.#escapeStart;
      return -1;
    }
    const isLowHalf = unit >= 0xdc00 && unit <= 0xdfff;
    const isPair = isLowHalf && this.#highHalf !== 0;
    const start = isPair ? this.#highStart : this.#escapeStart;
    const text = isPair ? String.fromCharCode(this.#highHalf, unit) : String.fromCharCode(unit);
    if (isPair) this.#highHalf = 0;
    else this.#dropHalf();
    let found = -1;
    for (const byte of bytesOf(text, this.#encoding)) {
      found = this.#emit(byte, start);
    }
    return found;
  }

  /** Half a pair stands in no value. */
  #dropHalf(): void {
    if (this.#highHalf === 0) return;
    this.#highHalf = 0;
    this.#state = 0;
    this.#starts = [];
  }

  #emit(byte: number, start: number): number {
    this.#state = this.#patterns.step(this.#state, byte);
    const depth = this.#patterns.depth[this.#state]!;
    this.#starts.push(start);
    if (this.#starts.length > 2 * depth + 64) this.#starts = this.#starts.slice(this.#starts.length - depth);
    const value = this.#patterns.completeAt(this.#state);
    return value === -1 ? -1 : this.#startOf(this.#patterns.lengthOf(value));
  }
}
