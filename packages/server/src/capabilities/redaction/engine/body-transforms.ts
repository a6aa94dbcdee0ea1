import type { TransformCallback } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GrowingBuffer } from '../../../kernel/growing-buffer.js';
import { LIMITS } from '../../../kernel/limits.js';
import { redactionFailed } from '../errors.js';
import type { BodyOptions } from './body-options.js';
import { fromByteText, toByteText } from './byte-text.js';
import { JsonRedactor } from './json-redactor.js';
import { MalformedJson } from './malformed-json.js';
import { NarrowTextTransform, wideText } from './narrow-text-transform.js';
import { type StreamedText, streamedText } from './streamed-text.js';
import { StringFinds } from './string-finds.js';

/** Work between two turns of the event loop, about a millisecond. */
const SLICE_BYTES = 32 * 1024;

/** Text of any other kind: passes as it comes, but for what is inside a partial match. */
export class TextTransform extends NarrowTextTransform {
  readonly #text: StreamedText;

  constructor(options: BodyOptions) {
    super();
    this.#text = streamedText(options);
  }

  protected override takeText(chunk: Buffer, done: TransformCallback): void {
    hand(this.#text.push(chunk), done);
  }

  override _flush(done: TransformCallback): void {
    hand(this.#text.end(), done);
  }
}

function hand(out: Buffer | Promise<Buffer>, done: TransformCallback): void {
  if (Buffer.isBuffer(out)) done(null, out);
  else out.then((bytes) => done(null, bytes), done);
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
  readonly #held = new GrowingBuffer();
  #text: StreamedText | null = null;
  #isSniffing: boolean;

  constructor(options: JsonBodyOptions) {
    super();
    this.#options = options;
    this.#isSniffing = options.sniff;
  }

  protected override takeText(chunk: Buffer, done: TransformCallback): void {
    this.#held.append(chunk);
    if (this.#isSniffing) this.#sniff(chunk);
    if (this.#text) {
      hand(this.#text.push(this.#held.take(this.#held.length)), done);
    } else if (this.#held.length > LIMITS.redactionBodyBytesMax) {
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
    if (first !== 0x7b && first !== 0x5b) this.#text = streamedText(this.#options);
  }

  override _flush(done: TransformCallback): void {
    hand(this.#text ? this.#text.end() : this.#redact(), done);
  }

  async #redact(): Promise<Buffer> {
    const body = this.#held.take(this.#held.length);
    const text = toByteText(body);
    if (text.trim() === '') return body;
    const { rules, encoding, onRedacted, search, sniff } = this.#options;
    try {
      const redactor = new JsonRedactor(rules, encoding, onRedacted);
      redactor.begin(text, search && (await StringFinds.of(text, encoding, search)));
      while (!redactor.advance(SLICE_BYTES)) await nextTurn();
      return fromByteText(redactor.result());
    } catch (error) {
      if (!(error instanceof MalformedJson)) throw error;
      // UTF-16 and UTF-32 without their mark.
      if (text.includes('\0')) throw wideText();
      if (rules.paths && !sniff) throw redactionFailed('the body is not the JSON that it is said to be');
      return redactTextInSlices(body, this.#options);
    }
  }
}

/** Without a path to follow, what is no JSON after all is still text that can be searched. */
async function redactTextInSlices(body: Buffer, options: BodyOptions): Promise<Buffer> {
  const text = streamedText(options);
  const out: Buffer[] = [];
  for (let at = 0; at < body.length; at += SLICE_BYTES) {
    out.push(await text.push(body.subarray(at, at + SLICE_BYTES)));
    await nextTurn();
  }
  out.push(await text.end());
  return Buffer.concat(out);
}
