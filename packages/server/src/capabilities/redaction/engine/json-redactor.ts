import { LIMITS } from '../../../kernel/limits.js';
import { redactionFailed } from '../errors.js';
import type { TextEncoding } from './byte-text.js';
import { JsonLeaves, type RawString, replaceOther } from './json-leaves.js';
import { readNumber, readStringEnd, readWord, skipSpace } from './json-tokens.js';
import { MalformedJson } from './malformed-json.js';
import { NOWHERE, type PathAutomaton, type PathState } from './path-automaton.js';
import type { Find, RankedRule } from './rule.js';
import type { StringFinds } from './string-finds.js';
import type { BuiltinRules } from './text-redactor.js';

export interface JsonRules {
  readonly builtins: BuiltinRules;
  readonly paths: PathAutomaton | null;
}

type Expecting = 'value' | 'first' | 'name' | 'after' | 'end';

interface Frame {
  readonly isObject: boolean;
  readonly state: PathState;
  index: number;
  /** A member or element that stays stands before. */
  kept: boolean;
  /** Where a removal begins: after the last one that was read, so that the comma before it goes too. */
  readEnd: number;
  /** The current member or element goes. */
  removing: boolean;
}

/** A container that goes as a whole: nothing inside is looked at but its syntax. */
interface Cover {
  readonly depth: number;
  readonly start: number;
  readonly rule: RankedRule;
}

const NO_FINDS: readonly Find[] = [];

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';

/**
 * Redacts one JSON document by splicing its text: what no rule touches keeps its bytes, so that `1e400`, big integers
 * and repeated names survive. One pass, no recursion, a bounded piece of work a call.
 */
export class JsonRedactor {
  readonly #paths: PathAutomaton | null;
  readonly #leaves: JsonLeaves;
  readonly #onRedacted: (rule: RankedRule) => void;
  #text = '';
  #position = 0;
  #expecting: Expecting = 'value';
  #frames: Frame[] = [];
  #cover: Cover | null = null;
  /** The state of the value that comes next. */
  #next: PathState = NOWHERE;
  #longString: { run: Generator<void, string>; done: (out: string) => void } | null = null;
  #out: string[] = [];
  #copied = 0;
  #found: StringFinds | null = null;
  /** How many string values were read. */
  #strings = 0;

  constructor(rules: JsonRules, encoding: TextEncoding, onRedacted: (rule: RankedRule) => void) {
    this.#paths = rules.paths;
    this.#onRedacted = onRedacted;
    this.#leaves = new JsonLeaves(rules.builtins, encoding, onRedacted);
  }

  /** Takes a document as byte text, and what regexes found in its strings. */
  begin(text: string, found: StringFinds | null = null): void {
    this.#text = text;
    this.#found = found;
    this.#strings = 0;
    this.#position = text.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0;
    this.#expecting = 'value';
    this.#frames = [];
    this.#cover = null;
    this.#next = this.#paths?.start ?? NOWHERE;
    this.#longString = null;
    this.#out = [];
    this.#copied = 0;
  }

  /** Reads about `bytes` further, or one piece of a long string; true when the document is done. Throws `MalformedJson`. */
  advance(bytes: number): boolean {
    const target = this.#position + this.#pathWork + bytes;
    while (this.#position + this.#pathWork < target) {
      if (this.#longString) {
        this.#continueString();
        return false;
      }
      this.#position = skipSpace(this.#text, this.#position);
      if (this.#expecting === 'end') {
        if (this.#position < this.#text.length) throw new MalformedJson(this.#position);
        this.#found?.assertCount(this.#strings);
        return true;
      }
      this.#token(this.#text.charCodeAt(this.#position));
    }
    return false;
  }

  /** The document as it may leave; the very text that was given when nothing changed. */
  result(): string {
    if (this.#out.length === 0) return this.#text;
    return this.#out.join('') + this.#text.slice(this.#copied);
  }

  whole(text: string, found: StringFinds | null = null): string {
    this.begin(text, found);
    while (!this.advance(text.length + 1));
    return this.result();
  }

  /** A document of ever new places takes less of its text in a slice. */
  get #pathWork(): number {
    return this.#paths?.work ?? 0;
  }

  #token(code: number): void {
    const frame = this.#frames[this.#frames.length - 1];
    if (this.#expecting === 'value' || !frame) {
      this.#value(code);
    } else if (this.#expecting === 'name') {
      this.#name(frame, code);
    } else if (code === (frame.isObject ? 0x7d : 0x5d)) {
      this.#closeContainer();
    } else if (this.#expecting === 'after') {
      this.#separator(frame, code);
    } else if (frame.isObject) {
      this.#name(frame, code);
    } else {
      this.#next = this.#step(frame, frame.index);
      this.#value(code);
    }
  }

  #separator(frame: Frame, code: number): void {
    if (code !== COMMA) throw new MalformedJson(this.#position);
    this.#position++;
    // All before it were removed: the first that stays has no comma before it.
    if (!frame.kept && !this.#cover) {
      this.#splice(frame.readEnd, this.#position, '');
      frame.readEnd = this.#position;
    }
    this.#expecting = frame.isObject ? 'name' : 'value';
    if (!frame.isObject) this.#next = this.#step(frame, ++frame.index);
  }

  #name(frame: Frame, code: number): void {
    if (code !== QUOTE) throw new MalformedJson(this.#position);
    const { raw, start, end } = this.#readString();
    this.#position = skipSpace(this.#text, this.#position);
    if (this.#text.charCodeAt(this.#position) !== COLON) throw new MalformedJson(this.#position);
    this.#position++;
    this.#expecting = 'value';
    if (this.#cover) return;
    this.#next = frame.state.isDead ? NOWHERE : this.#step(frame, this.#leaves.decode(raw));
    if (this.#next.match?.spec.action === 'remove') return;
    this.#redactString(raw, start, end, NO_FINDS, () => {});
  }

  #value(code: number): void {
    if (code === 0x7b || code === 0x5b) this.#openContainer(code === 0x7b);
    else if (code === QUOTE) this.#stringValue();
    else this.#otherValue(code);
  }

  #stringValue(): void {
    const rule = this.#rule();
    const opening = this.#position;
    const { raw, start, end } = this.#readString();
    const finds = this.#found?.of(this.#strings++) ?? NO_FINDS;
    if (rule) this.#replaced(rule, opening, this.#leaves.replaceString(rule, raw, finds));
    else if (this.#cover) this.#valueDone();
    else this.#redactString(raw, start, end, finds, () => this.#valueDone());
  }

  #otherValue(code: number): void {
    const rule = this.#rule();
    const start = this.#position;
    const isNumber = code === 0x2d || (code >= 0x30 && code <= 0x39);
    this.#position = isNumber ? readNumber(this.#text, start) : readWord(this.#text, start);
    const text = isNumber ? this.#text.slice(start, this.#position) : '';
    if (rule) {
      this.#replaced(rule, start, replaceOther(rule, text));
    } else {
      if (isNumber && !this.#cover)
        this.#change(start, this.#position, text, this.#leaves.redactNumber(text));
      this.#valueDone();
    }
  }

  /** The rule that names the value to come. */
  #rule(): RankedRule | null {
    return this.#cover ? null : this.#next.match;
  }

  #openContainer(isObject: boolean): void {
    const rule = this.#rule();
    if (this.#frames.length >= LIMITS.redactionJsonDepthMax) {
      throw redactionFailed(`JSON is nested deeper than ${LIMITS.redactionJsonDepthMax} levels`);
    }
    if (rule) this.#cover = { depth: this.#frames.length, start: this.#position, rule };
    this.#position++;
    const readEnd = this.#position;
    this.#frames.push({ isObject, state: this.#next, index: 0, kept: false, readEnd, removing: false });
    this.#expecting = 'first';
  }

  #closeContainer(): void {
    this.#position++;
    this.#frames.pop();
    const cover = this.#cover;
    if (cover?.depth === this.#frames.length) {
      this.#cover = null;
      this.#replaced(cover.rule, cover.start, replaceOther(cover.rule, ''));
    } else {
      this.#valueDone();
    }
  }

  /** A rule names the value that ends here. */
  #replaced(rule: RankedRule, start: number, replacement: string): void {
    const frame = this.#frames[this.#frames.length - 1];
    this.#onRedacted(rule);
    if (rule.spec.action !== 'remove') this.#splice(start, this.#position, replacement);
    else if (frame) frame.removing = true;
    else this.#splice(start, this.#position, 'null');
    this.#valueDone();
  }

  #valueDone(): void {
    const frame = this.#frames[this.#frames.length - 1];
    this.#expecting = frame ? 'after' : 'end';
    if (!frame || this.#cover) return;
    if (frame.removing) this.#splice(frame.readEnd, this.#position, '');
    else frame.kept = true;
    frame.removing = false;
    frame.readEnd = this.#position;
  }

  #readString(): { raw: RawString; start: number; end: number } {
    const start = this.#position + 1;
    const { end, escaped } = readStringEnd(this.#text, start);
    this.#position = end + 1;
    return { raw: { text: this.#text.slice(start, end), escaped }, start, end };
  }

  #redactString(raw: RawString, start: number, end: number, finds: readonly Find[], then: () => void): void {
    if (finds.length === 0 && !this.#leaves.mayHold(raw)) {
      then();
      return;
    }
    const done = (out: string) => {
      this.#change(start, end, raw.text, out);
      then();
    };
    this.#longString = { run: this.#leaves.redactString(raw, finds), done };
    this.#continueString();
  }

  #continueString(): void {
    const { run, done } = this.#longString!;
    const step = run.next();
    if (!step.done) return;
    this.#longString = null;
    done(step.value);
  }

  #step(frame: Frame, key: string | number): PathState {
    return this.#paths && !this.#cover ? this.#paths.step(frame.state, key) : NOWHERE;
  }

  #change(start: number, end: number, before: string, after: string): void {
    if (after !== before) this.#splice(start, end, after);
  }

  #splice(start: number, end: number, replacement: string): void {
    this.#out.push(this.#text.slice(this.#copied, start), replacement);
    this.#copied = end;
  }
}
