import { Transform, type TransformCallback } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AppError } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import { redactionFailed } from '../errors.js';
import { encodeText, fromByteText, type TextEncoding, toByteText } from './byte-text.js';
import { JsonRedactor, type JsonRules } from './json-redactor.js';
import { MalformedJson } from './malformed-json.js';
import type { RankedRule } from './rule.js';
import { TextRedactor } from './text-redactor.js';

export interface BodyOptions {
  readonly rules: JsonRules;
  readonly encoding: TextEncoding;
  readonly onRedacted: (rule: RankedRule) => void;
}

/** Work between two turns of the event loop, about a millisecond. */
const SLICE_BYTES = 32 * 1024;

/** Fails for text that a byte order mark says to be UTF-16 or UTF-32: readers believe it over the head. */
export class WideTextGuard {
  #first: number | null = null;
  #isDecided = false;

  check(chunk: Buffer): void {
    for (const byte of this.#isDecided ? [] : chunk.subarray(0, 2)) {
      if (this.#first === null) {
        this.#first = byte;
      } else if (!this.#isDecided) {
        this.#isDecided = true;
        const isMark = (this.#first === 0xff && byte === 0xfe) || (this.#first === 0xfe && byte === 0xff);
        if (isMark) throw wideText();
      }
    }
  }
}

function wideText(): AppError {
  return redactionFailed('the body is in a character set that redaction does not read');
}

/** Text of any other kind: passes as it comes, but for what is inside a partial match. */
export class TextTransform extends Transform {
  readonly #redactor: TextRedactor;
  readonly #marks = new WideTextGuard();

  constructor(options: BodyOptions) {
    super();
    this.#redactor = textRedactor(options);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.#marks.check(chunk);
    } catch (error) {
      done(error as Error);
      return;
    }
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

/** One JSON document: collected whole, then read in slices so that no other call waits. */
export class JsonTransform extends Transform {
  readonly #options: JsonBodyOptions;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #text: TextRedactor | null = null;
  readonly #marks = new WideTextGuard();

  constructor(options: JsonBodyOptions) {
    super();
    this.#options = options;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.#marks.check(chunk);
    } catch (error) {
      done(error as Error);
      return;
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#options.sniff && !this.#text && looksLikeText(this.#chunks))
      this.#text = textRedactor(this.#options);
    if (this.#text) {
      const seen = this.#chunks.splice(0);
      done(null, fromByteText(this.#text.push(toByteText(Buffer.concat(seen)))));
    } else if (this.#bytes > LIMITS.redactionBodyBytesMax) {
      done(redactionFailed('the JSON body is larger than redaction parses'));
    } else {
      done();
    }
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

function looksLikeText(chunks: readonly Buffer[]): boolean {
  for (const chunk of chunks) {
    for (const byte of chunk) {
      const isSpace = byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
      const isMark = byte === 0xef || byte === 0xbb || byte === 0xbf;
      if (!isSpace && !isMark) return byte !== 0x7b && byte !== 0x5b;
    }
  }
  return false;
}
