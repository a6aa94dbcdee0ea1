import { LIMITS } from '../../../kernel/limits.js';
import { redactionFailed } from '../errors.js';
import type { RegexSearch } from '../regex/regex-search.js';
import type { BodyOptions } from './body-options.js';
import {
  charactersOf,
  encodeText,
  findsInBytes,
  fromByteText,
  type TextEncoding,
  toByteText,
} from './byte-text.js';
import type { Find } from './rule.js';
import { TextRedactor } from './text-redactor.js';

/** A text that arrives in pieces. */
export interface StreamedText {
  /** What can be said of the text so far. */
  push(chunk: Buffer): Buffer | Promise<Buffer>;
  end(): Buffer | Promise<Buffer>;
}

export function streamedText(options: BodyOptions): StreamedText {
  return options.search ? new SearchedText(options, options.search) : new BuiltinText(options);
}

function textRedactor({ rules, encoding, onRedacted }: BodyOptions): TextRedactor {
  return new TextRedactor(rules.builtins, onRedacted, (text) => encodeText(text, encoding));
}

/** Nothing is held back but what is inside a partial match of a built-in. */
class BuiltinText implements StreamedText {
  readonly #redactor: TextRedactor;

  constructor(options: BodyOptions) {
    this.#redactor = textRedactor(options);
  }

  push(chunk: Buffer): Buffer {
    return fromByteText(this.#redactor.push(toByteText(chunk)));
  }

  end(): Buffer {
    return fromByteText(this.#redactor.end());
  }
}

/** A search takes this much at once. */
const WINDOW_BYTES_MAX = 64 * 1024;
/** What `\b` and `^` look at before a match: one character. */
const BEFORE_BYTES = 4;

/**
 * With regexes: a match that begins here is known once the 1 KiB behind it is, so that much is held back. A longer
 * match cannot be told from one that the next piece would have gone on with, and fails.
 */
class SearchedText implements StreamedText {
  readonly #redactor: TextRedactor;
  readonly #encoding: TextEncoding;
  readonly #search: RegexSearch;
  /** Byte text from `#start` on: what is not decided, and a little before it. */
  #text = '';
  #start = 0;
  /** All matches that begin before this place are known. */
  #decided = 0;
  /** By rule: where its last match ended. */
  readonly #ends: number[];

  constructor(options: BodyOptions, search: RegexSearch) {
    this.#redactor = textRedactor(options);
    this.#encoding = options.encoding;
    this.#search = search;
    this.#ends = search.rules.map(() => 0);
  }

  async push(chunk: Buffer): Promise<Buffer> {
    const added = toByteText(chunk);
    let out = '';
    for (let at = 0; at < added.length; at += WINDOW_BYTES_MAX) {
      this.#text += added.slice(at, at + WINDOW_BYTES_MAX);
      out += await this.#advance(this.#wholeCharacters());
    }
    return fromByteText(out);
  }

  async end(): Promise<Buffer> {
    const out = await this.#advance(this.#text.length, true);
    return fromByteText(out + this.#redactor.end());
  }

  async #advance(length: number, isEnd = false): Promise<string> {
    const windowEnd = this.#start + length;
    const decided = isEnd ? windowEnd : this.#characterAt(windowEnd - LIMITS.redactionRegexHeldBytesMax);
    if (decided <= this.#decided) return '';
    for (const find of await this.#find(this.#text.slice(0, length))) {
      if (find.start >= decided) continue;
      if (find.end - find.start > LIMITS.redactionRegexHeldBytesMax)
        throw redactionFailed('a match of a regex rule in a text is longer than 1 KiB');
      this.#ends[this.#search.rules.indexOf(find.rule)] = find.end;
      this.#redactor.expect(find);
    }
    const out = this.#redactor.push(this.#between(this.#decided, decided));
    this.#decided = decided;
    this.#forget();
    return out;
  }

  /** Places count from the start of the whole text. */
  async #find(window: string): Promise<readonly Find[]> {
    const characters = charactersOf(window, this.#encoding);
    const isSame = characters.length === window.length;
    const froms = this.#ends.map((end) => {
      const from = Math.max(end, this.#decided) - this.#start;
      return isSame ? from : charactersOf(window.slice(0, from), this.#encoding).length;
    });
    const finds = await this.#search.searchOne(characters, froms);
    return findsInBytes(finds, characters, window).map((find) => ({
      ...find,
      start: find.start + this.#start,
      end: find.end + this.#start,
    }));
  }

  /** Up to where the text has no half of a character at its end. */
  #wholeCharacters(): number {
    if (this.#encoding === 'single-byte') return this.#text.length;
    return this.#characterAt(this.#start + this.#text.length) - this.#start;
  }

  /** The place itself, or where the character that reaches over it begins. */
  #characterAt(place: number): number {
    if (this.#encoding === 'single-byte') return place;
    let at = place - this.#start;
    for (let back = 1; back < BEFORE_BYTES && at - back >= 0; back++) {
      const code = this.#text.charCodeAt(at - back);
      if (code < 0x80) break;
      if (code < 0xc0) continue;
      // The first byte tells how many belong to it.
      const length = code >= 0xf0 ? 4 : code >= 0xe0 ? 3 : 2;
      if (length > back) at -= back;
      break;
    }
    return at + this.#start;
  }

  #between(from: number, to: number): string {
    return this.#text.slice(from - this.#start, to - this.#start);
  }

  #forget(): void {
    const keepFrom = this.#characterAt(Math.max(this.#start, this.#decided - BEFORE_BYTES));
    this.#text = this.#between(keepFrom, this.#start + this.#text.length);
    this.#start = keepFrom;
  }
}
