import { bytesOf, type TextEncoding } from '../engine/byte-text.js';
import type { EchoPatterns } from './echo-patterns.js';

/** How a value may be written beside as it is: in a JSON string, percent-encoded, and so with `+` for a space. */
export type EscapedForm = 'json' | 'percent' | 'form';

const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;
/** What an escape begins with. */
export const ESCAPES: Readonly<Record<EscapedForm, readonly number[]>> = {
  json: [BACKSLASH],
  percent: [PERCENT],
  form: [PERCENT, PLUS],
};
const JSON_ESCAPES: ReadonlyMap<number, number> = new Map(
  Object.entries({ '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }).map(
    ([written, meant]) => [written.charCodeAt(0), meant.charCodeAt(0)],
  ),
);

type OnValue = (start: number, end: number, value: number, form: EscapedForm) => void;

/**
 * A text as it reads when its escapes are undone. It runs along only while it differs from the text itself: from an
 * escape until both have matched the same last bytes, so that text without escapes costs nothing.
 */
export class EscapedView {
  readonly form: EscapedForm;
  readonly #patterns: EchoPatterns;
  readonly #encoding: TextEncoding;
  readonly #onValue: OnValue;
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

  constructor(form: EscapedForm, patterns: EchoPatterns, encoding: TextEncoding, onValue: OnValue) {
    this.form = form;
    this.#patterns = patterns;
    this.#encoding = encoding;
    this.#onValue = onValue;
  }

  get isApart(): boolean {
    return this.#isApart;
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

  /** Takes the next byte of the text. */
  take(byte: number, at: number): void {
    if (this.#escape.length > 0) this.#goOn(byte, at);
    else if (byte === (this.form === 'json' ? BACKSLASH : PERCENT)) this.#open(byte, at);
    else {
      this.#dropHalf();
      this.#emit(byte === PLUS && this.form === 'form' ? SPACE : byte, at, at + 1);
    }
  }

  /** No more comes: what had begun as an escape is none. */
  end(): void {
    if (this.#isApart) this.#emitAsWritten();
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

  #open(byte: number, at: number): void {
    this.#escape = [byte];
    this.#escapeStart = at;
  }

  #goOn(byte: number, at: number): void {
    const begun = this.#escape;
    const isHex = /[0-9A-Fa-f]/.test(String.fromCharCode(byte));
    const isUnicode = this.form === 'json' && begun.length >= 2;
    if (this.form === 'json' && begun.length === 1) {
      if (byte === 0x75) {
        begun.push(byte);
        return;
      }
      const meant = JSON_ESCAPES.get(byte);
      if (meant === undefined) {
        this.#asWritten(byte, at);
        return;
      }
      this.#escape = [];
      this.#dropHalf();
      this.#emit(meant, this.#escapeStart, at + 1);
      return;
    }
    if (!isHex) {
      this.#asWritten(byte, at);
      return;
    }
    begun.push(byte);
    if (begun.length < (isUnicode ? 6 : 3)) return;
    const unit = Number.parseInt(String.fromCharCode(...begun.slice(isUnicode ? 2 : 1)), 16);
    this.#escape = [];
    if (isUnicode) this.#unit(unit, at + 1);
    else this.#emit(unit, this.#escapeStart, at + 1);
  }

  #asWritten(byte: number, at: number): void {
    this.#emitAsWritten();
    this.take(byte, at);
  }

  /** No escape after all: its bytes stand for themselves, and a value may end with one of them. */
  #emitAsWritten(): void {
    const written = this.#escape;
    this.#escape = [];
    this.#dropHalf();
    for (const [i, one] of written.entries()) {
      const start = this.#escapeStart + i;
      this.#emit(one, start, start + 1);
    }
  }

  #unit(unit: number, end: number): void {
    if (unit >= 0xd800 && unit <= 0xdbff) {
      this.#dropHalf();
      this.#highHalf = unit;
      this.#highStart = this.#escapeStart;
      return;
    }
    const isLowHalf = unit >= 0xdc00 && unit <= 0xdfff;
    const isPair = isLowHalf && this.#highHalf !== 0;
    const start = isPair ? this.#highStart : this.#escapeStart;
    const text = isPair ? String.fromCharCode(this.#highHalf, unit) : String.fromCharCode(unit);
    if (isPair) this.#highHalf = 0;
    else this.#dropHalf();
    for (const byte of bytesOf(text, this.#encoding)) this.#emit(byte, start, end);
  }

  /** Half a pair stands in no value. */
  #dropHalf(): void {
    if (this.#highHalf === 0) return;
    this.#highHalf = 0;
    this.#state = 0;
    this.#starts = [];
  }

  /** One byte of the view, and the stretch of the text that it stands for. */
  #emit(byte: number, start: number, end: number): void {
    this.#state = this.#patterns.step(this.#state, byte);
    const depth = this.#patterns.depth[this.#state]!;
    this.#starts.push(start);
    if (this.#starts.length > 2 * depth + 64) this.#starts = this.#starts.slice(this.#starts.length - depth);
    const value = this.#patterns.completeAt(this.#state);
    if (value !== -1) this.#onValue(this.#startOf(this.#patterns.lengthOf(value)), end, value, this.form);
  }
}
