import { GrowingBuffer } from '../../../kernel/growing-buffer.js';
import { jsonEscape, type TextEncoding } from '../engine/byte-text.js';
import { WideMark, wideText } from '../engine/narrow-text-transform.js';
import type { EchoPatterns } from './echo-patterns.js';
import { ESCAPES, type EscapedForm, EscapedView } from './escaped-view.js';
import { ENDS_OF_STRINGS, NumberTrack, type Syntax } from './number-track.js';

type Form = 'raw' | EscapedForm | 'number';

/** A stretch of the answer that goes; `value` -1 when several overlap in it. */
interface Stretch {
  start: number;
  end: number;
  value: number;
  form: Form;
  /** What stands in its place has left already, with all that was before `start`. */
  isBegun: boolean;
}

/** What is looked for in a text of one encoding. */
export interface Searched {
  readonly patterns: EchoPatterns;
  /** What `patterns` holds. */
  readonly spellings: readonly Buffer[];
  /** What stands in the place of each value. */
  readonly tokens: readonly string[];
  readonly forms: readonly EscapedForm[];
  /** Of `patterns` and `forms`. */
  readonly kinds: Uint8Array;
}

export interface EchoScannerOptions {
  /** Shared by all scanners of a guard. */
  readonly search: Searched;
  readonly encoding: TextEncoding;
  readonly syntax: Syntax;
  readonly onReplaced: () => void;
}

/** Bits of a byte's kind. */
const OF_VALUE = 1;
const OF_STRING = 2;

/** What each byte may begin; one that begins nothing is skipped while nothing has begun. */
export function kindsOf(patterns: EchoPatterns, forms: readonly EscapedForm[]): Uint8Array {
  const kinds = new Uint8Array(256);
  const begin = (byte: number, kind: number) => {
    kinds[byte] = kinds[byte]! | kind;
  };
  for (const byte of patterns.firstBytes) begin(byte, OF_VALUE);
  for (const form of forms) for (const byte of ESCAPES[form]) begin(byte, OF_VALUE);
  for (const byte of ENDS_OF_STRINGS) begin(byte, OF_STRING);
  return kinds;
}

/** More values than that are looked for at once rather than one after the other. */
const LOOKED_FOR_ALONE_MAX = 8;
/** Node compares longer ones by their last 250 bytes, and then takes a time that is no longer linear. */
const LOOKED_FOR_ALONE_BYTES_MAX = 200;

/** Whether none of them can be in it, by far cheaper than finding them: nothing is escaped, and no spelling stands there. */
function holdsNone(bytes: Buffer, { spellings, forms }: Searched): boolean {
  return (
    spellings.length <= LOOKED_FOR_ALONE_MAX &&
    spellings.every(({ length }) => length <= LOOKED_FOR_ALONE_BYTES_MAX) &&
    forms.every((form) => ESCAPES[form].every((byte) => !bytes.includes(byte))) &&
    spellings.every((spelling) => !bytes.includes(spelling))
  );
}

/**
 * Puts tokens in the place of values in a text that arrives in pieces; one pass, linear, without parsing. Held back
 * is only what may be the beginning of a value, or a number that it may be a part of.
 */
export class EchoScanner {
  readonly #options: EchoScannerOptions;
  readonly #patterns: EchoPatterns;
  /** Made with the first piece: most texts are whole, and hold nothing. */
  #views: readonly EscapedView[] = [];
  readonly #numbers: NumberTrack;
  readonly #kinds: Uint8Array;
  #state = 0;
  /** Bytes read so far, and those of them that have not left. */
  #position = 0;
  readonly #held = new GrowingBuffer();
  #heldStart = 0;
  #found: Stretch[] = [];
  /** Finds in the number that is being read. */
  #openNumber: Stretch | null = null;
  readonly #mark = new WideMark();
  #isEnded = false;
  #hasReplaced = false;

  constructor(options: EchoScannerOptions) {
    this.#options = options;
    const { patterns, kinds } = options.search;
    this.#patterns = patterns;
    this.#numbers = new NumberTrack(options.syntax);
    this.#kinds = kinds;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  get hasReplaced(): boolean {
    return this.#hasReplaced;
  }

  get heldBytes(): number {
    return this.#held.length;
  }

  push(chunk: Buffer): Buffer {
    if (this.#mark.endsIn(chunk)) throw wideText();
    if (this.#views.length === 0) this.#openViews();
    this.#scan(chunk);
    this.#held.append(chunk);
    return this.#release(this.#settled());
  }

  end(): Buffer {
    this.#isEnded = true;
    this.#openNumber = null;
    for (const view of this.#views) view.end();
    return this.#release(this.#position);
  }

  /** A text of which nothing was pushed before. */
  whole(bytes: Buffer): Buffer {
    if (!holdsNone(bytes, this.#options.search)) return Buffer.concat([this.push(bytes), this.end()]);
    if (this.#mark.endsIn(bytes)) throw wideText();
    this.#isEnded = true;
    return bytes;
  }

  #openViews(): void {
    const { search, encoding } = this.#options;
    const find = (start: number, end: number, value: number, form: EscapedForm) =>
      this.#find(start, end, value, form);
    this.#views = search.forms.map((form) => new EscapedView(form, search.patterns, encoding, find));
  }

  #scan(chunk: Buffer): void {
    const origin = this.#position;
    this.#position += chunk.length;
    let [state, isApart] = [this.#state, this.#views.some((view) => view.isApart)];
    const [kinds, readsNumbers] = [this.#kinds, this.#numbers.isNeeded];
    let isInString = this.#numbers.isInPlainString;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      const kind = kinds[byte]!;
      if (readsNumbers && (!isInString || (kind & OF_STRING) !== 0)) {
        this.#readNumber(byte, origin + i);
        isInString = this.#numbers.isInPlainString;
      }
      if (state === 0 && !isApart && (kind & OF_VALUE) === 0) continue;
      const before = state;
      state = this.#patterns.step(state, byte);
      const value = this.#patterns.completeAt(state);
      const end = origin + i + 1;
      if (value !== -1) this.#find(end - this.#patterns.lengthOf(value), end, value, 'raw');
      isApart = this.#readViews(byte, origin + i, before, state);
    }
    this.#state = state;
  }

  #readViews(byte: number, at: number, before: number, state: number): boolean {
    let isApart = false;
    for (const view of this.#views) {
      if (!view.isApart) {
        if (!view.begins(byte)) continue;
        view.part(before, at);
      }
      view.take(byte, at);
      view.rejoin(state, at + 1);
      isApart ||= view.isApart;
    }
    return isApart;
  }

  #readNumber(byte: number, at: number): void {
    this.#numbers.take(byte, at);
    if (this.#openNumber === null) return;
    if (this.#numbers.start === -1) this.#openNumber = null;
    else this.#openNumber.end = at + 1;
  }

  #find(start: number, end: number, value: number, form: Form): void {
    if (form === 'raw' && start === this.#numbers.escapedAt) return;
    // In any form: the plus of an exponent reads as a space.
    const numberStart = this.#numbers.startOf(start, end);
    if (numberStart === -1) {
      this.#add({ start, end, value, form, isBegun: false });
    } else if (this.#openNumber === null) {
      this.#openNumber = this.#add({ start: numberStart, end, value, form: 'number', isBegun: false });
    }
  }

  #add(stretch: Stretch): Stretch {
    for (let last = this.#found.at(-1); last && last.end > stretch.start; last = this.#found.at(-1)) {
      this.#found.pop();
      const isCovered = last.start <= stretch.start && last.end >= stretch.end;
      const covers = stretch.start <= last.start && stretch.end >= last.end && !last.isBegun;
      const form = covers && !isCovered ? stretch.form : last.form;
      const value = isCovered ? last.value : covers ? stretch.value : -1;
      stretch = {
        start: Math.min(last.start, stretch.start),
        end: Math.max(last.end, stretch.end),
        value,
        form,
        isBegun: last.isBegun,
      };
    }
    this.#found.push(stretch);
    return stretch;
  }

  #settled(): number {
    const end = this.#position;
    let settled = Math.min(end - this.#patterns.depth[this.#state]!, this.#numbers.settledBefore(end));
    for (const view of this.#views) {
      if (view.isApart) settled = Math.min(settled, view.settledBefore(end));
    }
    return settled;
  }

  /** What cannot change any more; a stretch that reaches over the settled place waits. */
  #release(settled: number): Buffer {
    const first = this.#found[0];
    if (!first || first.start >= settled) return this.#take(settled);
    const out: Buffer[] = [];
    let next: Stretch | undefined = first;
    for (; next && next.end <= settled; next = this.#found[0]) {
      this.#found.shift();
      this.#replace(next, next.end, out);
    }
    // Values that overlap again and again are one stretch, which may be as long as the answer.
    if (next && next.start < settled && next.value === -1 && next.form !== 'number') {
      this.#replace(next, settled, out);
      next.start = settled;
      next.isBegun = true;
    }
    out.push(this.#take(next ? Math.min(next.start, settled) : settled));
    return Buffer.concat(out);
  }

  #replace(stretch: Stretch, end: number, out: Buffer[]): void {
    out.push(this.#take(stretch.start));
    this.#drop(end);
    if (stretch.isBegun) return;
    out.push(Buffer.from(this.#replacement(stretch), 'latin1'));
    this.#hasReplaced = true;
    this.#options.onReplaced();
  }

  #take(end: number): Buffer {
    const length = Math.max(0, end - this.#heldStart);
    this.#heldStart += length;
    return this.#held.take(length);
  }

  #drop(end: number): void {
    const length = Math.max(0, end - this.#heldStart);
    this.#heldStart += length;
    this.#held.drop(length);
  }

  #replacement({ value, form }: Stretch): string {
    const token = this.#options.search.tokens[value] ?? REDACTED;
    switch (form) {
      case 'number':
        return 'null';
      case 'raw':
        return STANDS_ANYWHERE.test(token) ? token : REDACTED;
      case 'json':
        return jsonEscape(token);
      case 'percent':
        return percentEncoded(token);
      case 'form':
        return percentEncoded(token).replaceAll('%20', '+');
    }
  }
}

const REDACTED = '[REDACTED]';
/** In a JSON string, in HTML and in a line of text alike. */
const STANDS_ANYWHERE = /^[A-Za-z0-9 _.~@:+,;/=()[\]{}!?*#$-]+$/;

function percentEncoded(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '?')).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
