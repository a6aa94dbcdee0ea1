import type { TransformCallback } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LIMITS } from '../../../kernel/limits.js';
import { redactionFailed } from '../errors.js';
import { encodeText, fromByteText, type TextEncoding, toByteText } from './byte-text.js';
import { JsonRedactor, type JsonRules } from './json-redactor.js';
import { MalformedJson } from './malformed-json.js';
import { NarrowTextTransform, wideText } from './narrow-text-transform.js';
import type { RankedRule } from './rule.js';
import { TextRedactor } from './text-redactor.js';

export interface BodyOptions {
  readonly rules: JsonRules;
  readonly encoding: TextEncoding;
  readonly onRedacted: (rule: RankedRule) => void;
}

/** Work between two turns of the event loop, about a millisecond. */
const SLICE_BYTES = 32 * 1024;

/** Text of any other kind: passes as it comes, but for what is inside a partial match. */
export class TextTransform extends NarrowTextTransform {
  readonly #redactor: TextRedactor;

  constructor(options: BodyOptions) {
    super();
    this.#redactor = textRedactor(options);
  }

  protected override takeText(chunk: Buffer, done: TransformCallback): void {
    done(null, fromByteText(this.#redactor.push(toByteText(chunk))));
  }

  override _flush(done: TransformCallback): void {
    done(null, fromByteText(this.#redactor.end()));
  }
}

export function textRedactor({ rules, encoding, onRedacted }: BodyOptions): TextRedactor {
  return new TextRedactor(rules.builtins, onRedacted, (replacement) => encodeText(replacement, encoding));
}

export interface JsonBodyOptions extends BodyOptions {
  /** The answer does not say that it is JSON: it is when it looks like it and parses, else it is text. */
  readonly sniff: boolean;
}

/** White space of JSON, and the bytes of UTF-8's byte order mark. */
const BLANKS_AND_MARKS: ReadonlySet<number> = new Set([0x20, 0x0a, 0x0d, 0x09, 0xef, 0xbb, 0xbf]);

/** One JSON document: collected whole, then read in slices so that no other call waits. */
export class JsonTransform extends NarrowTextTransform {
  readonly #options: JsonBodyOptions;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #text: TextRedactor | null = null;
  #isSniffing: boolean;

  constructor(options: JsonBodyOptions) {
    super();
    this.#options = options;
    this.#isSniffing = options.sniff;
  }

  protected override takeText(chunk: Buffer, done: TransformCallback): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#isSniffing) this.#sniff(chunk);
    if (this.#text) {
      const seen = this.#chunks.splice(0);
      done(null, fromByteText(this.#text.push(toByteText(Buffer.concat(seen)))));
    } else if (this.#bytes > LIMITS.redactionBodyBytesMax) {
      done(redactionFailed('the JSON body is larger than redaction parses'));
    } else {
      done();
    }
  }

  /** The first byte that is no blank decides; the chunks before this one held none. */
  #sniff(chunk: Buffer): void {
    const first = chunk.find((byte) => !BLANKS_AND_MARKS.has(byte));
    if (first === undefined) return;
    this.#isSniffing = false;
    if (first !== 0x7b && first !== 0x5b) this.#text = textRedactor(this.#options);
  }

  override _flush(done: TransformCallback): void {
    const out = this.#text ? Promise.resolve(fromByteText(this.#text.end())) : this.#redact();
    out.then(
      (bytes) => done(null, bytes),
      (error: Error) => done(error),
    );
  }

  async #redact(): Promise<Buffer> {
    const body = Buffer.concat(this.#chunks);
    this.#chunks = [];
    const text = toByteText(body);
    if (text.trim() === '') return body;
    const { rules, encoding, onRedacted, sniff } = this.#options;
    try {
      const redactor = new JsonRedactor(rules, encoding, onRedacted);
      redactor.begin(text);
      while (!redactor.advance(SLICE_BYTES)) await nextTurn();
      return fromByteText(redactor.result());
    } catch (error) {
      if (!(error instanceof MalformedJson)) throw error;
      // UTF-16 and UTF-32 without their mark.
      if (text.includes('\0')) throw wideText();
      if (rules.paths && !sniff) throw redactionFailed('the body is not the JSON that it is said to be');
      return redactTextInSlices(text, this.#options);
    }
  }
}

/** Without a path to follow, what is no JSON after all is still text that can be searched. */
async function redactTextInSlices(text: string, options: BodyOptions): Promise<Buffer> {
  const redactor = textRedactor(options);
  let out = '';
  for (let at = 0; at < text.length; at += SLICE_BYTES) {
    out += redactor.push(text.slice(at, at + SLICE_BYTES));
    await nextTurn();
  }
  return fromByteText(out + redactor.end());
}
