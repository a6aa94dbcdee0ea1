import { redactionFailed } from '../errors.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** Inside of a string only these mean anything. */
export const ENDS_OF_STRINGS: readonly number[] = [QUOTE, BACKSLASH, LINE_FEED, CARRIAGE_RETURN];
/** A number that is longer is not held back, and fails when a value is found in it. */
const NUMBER_BYTES_MAX = 1024;
const NOWHERE = -1;

/** Whether a document is JSON: it says so, says that it is none, or may be. */
export type Syntax = 'json' | 'none' | 'unknown';

/**
 * Where the numbers of a JSON document are, without parsing it: outside of strings. A line break ends a string, so
 * that a quote in a text that is no JSON misleads to its line's end at most.
 */
export class NumberTrack {
  #syntax: Syntax;
  /** The first byte that is no blank, while nothing more is known. */
  #opening = 0;
  #isInString = false;
  #isEscaped = false;
  #start = NOWHERE;
  #escapedAt = NOWHERE;

  constructor(syntax: Syntax) {
    this.#syntax = syntax;
  }

  get isNeeded(): boolean {
    return this.#syntax !== 'none';
  }

  /** Where the number began that the last byte is a part of; -1 outside of numbers. */
  get start(): number {
    return this.#start;
  }

  /** The last letter of a string that a backslash makes another: it stands for itself in no value. */
  get escapedAt(): number {
    return this.#escapedAt;
  }

  /** Inside of a string, where only some bytes change anything. */
  get isInPlainString(): boolean {
    return this.#isInString && !this.#isEscaped;
  }

  take(byte: number, at: number): void {
    if (this.#syntax === 'none' || (this.#syntax === 'unknown' && !this.#sniff(byte))) return;
    if (this.#isInString) this.#inString(byte, at);
    else if (isOfNumber(byte)) {
      if (this.#start === NOWHERE) this.#start = at;
    } else {
      this.#start = NOWHERE;
      this.#isInString = byte === QUOTE;
    }
  }

  /** What may have to go as a whole; `end` outside of numbers. */
  settledBefore(end: number): number {
    const isHeld = this.#start !== NOWHERE && end - this.#start <= NUMBER_BYTES_MAX;
    return isHeld ? this.#start : end;
  }

  /** Where the number begins that a find at this place is a part of; -1 for none. */
  startOf(find: number, end: number): number {
    if (this.#start === NOWHERE || find < this.#start) return NOWHERE;
    if (end - this.#start > NUMBER_BYTES_MAX) throw redactionFailed('a number is too long to be taken out');
    return this.#start;
  }

  #inString(byte: number, at: number): void {
    if (this.#isEscaped) this.#escapedAt = at;
    if (byte === LINE_FEED || byte === CARRIAGE_RETURN) this.#isInString = false;
    else if (!this.#isEscaped && byte === QUOTE) this.#isInString = false;
    this.#isEscaped = !this.#isEscaped && byte === BACKSLASH;
  }

  /** `{"`, `[{`, `["` and the like begin JSON under any name; true when this byte is to be read as such. */
  #sniff(byte: number): boolean {
    const character = String.fromCharCode(byte);
    if (/\s|[\xef\xbb\xbf]/.test(character)) return false;
    if (this.#opening === 0) {
      this.#opening = byte;
      if (!/[{[]/.test(character)) this.#syntax = 'none';
      return false;
    }
    const isJson = this.#opening === 0x7b ? /["}]/ : /[[{"\]]/;
    this.#syntax = isJson.test(character) ? 'json' : 'none';
    return this.#syntax === 'json';
  }
}

function isOfNumber(byte: number): boolean {
  // Digits, `+`, `-`, `.`, `E`, `e`.
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2d ||
    byte === 0x2e ||
    byte === 0x2b ||
    (byte | 0x20) === 0x65
  );
}
