import type { TransformCallback } from 'node:stream';
import type { AppError } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import { redactionFailed } from '../errors.js';
import { type BodyOptions, textRedactor } from './body-transforms.js';
import { fromByteText, toByteText } from './byte-text.js';
import { JsonRedactor } from './json-redactor.js';
import { MalformedJson } from './malformed-json.js';
import { NarrowTextTransform } from './narrow-text-transform.js';
import type { TextRedactor } from './text-redactor.js';

/** Cuts a stream at its record boundaries; each record is inspected whole and released at once. */
abstract class RecordTransform extends NarrowTextTransform {
  /** Matches what ends a record, to its last byte. */
  protected abstract readonly boundary: RegExp;
  #pending = '';

  protected abstract redactRecord(record: string): string;

  protected override takeText(chunk: Buffer, done: TransformCallback): void {
    // A boundary has at most four bytes, so all but the last three were searched before.
    const searched = Math.max(0, this.#pending.length - 3);
    this.#pending += toByteText(chunk);
    let out = '';
    let start = 0;
    this.boundary.lastIndex = searched;
    try {
      while (this.boundary.test(this.#pending)) {
        const end = this.boundary.lastIndex;
        out += this.#redact(this.#pending.slice(start, end));
        start = end;
      }
      this.#pending = this.#pending.slice(start);
      if (this.#pending.length > LIMITS.redactionRecordBytesMax) throw tooLong();
    } catch (error) {
      // Records before the refused one were inspected: they may leave.
      if (out !== '') this.push(fromByteText(out));
      done(error as Error);
      return;
    }
    done(null, fromByteText(out));
  }

  override _flush(done: TransformCallback): void {
    try {
      done(null, fromByteText(this.#redact(this.#pending)));
    } catch (error) {
      done(error as Error);
    }
  }

  #redact(record: string): string {
    if (record.length > LIMITS.redactionRecordBytesMax) throw tooLong();
    return this.redactRecord(record);
  }
}

function tooLong(): AppError {
  return redactionFailed('a record of the stream is longer than redaction inspects');
}

/** NDJSON lines and the elements of RFC 7464 text sequences. */
export class JsonRecordsTransform extends RecordTransform {
  protected readonly boundary: RegExp;
  readonly #json: JsonRedactor;
  readonly #text: TextRedactor;
  readonly #hasPaths: boolean;

  constructor(separator: 'newline' | 'record_separator', options: BodyOptions) {
    super();
    const { rules, encoding, onRedacted } = options;
    this.boundary = separator === 'newline' ? /\n/g : /\x1e/g;
    this.#json = new JsonRedactor(rules, encoding, onRedacted);
    this.#text = textRedactor(options);
    this.#hasPaths = rules.paths !== null;
  }

  protected redactRecord(record: string): string {
    const end = record.endsWith('\x1e') ? record.length - 1 : record.length;
    const document = record.slice(0, end);
    if (document.trim() === '') return record;
    try {
      return this.#json.whole(document) + record.slice(end);
    } catch (error) {
      if (!(error instanceof MalformedJson)) throw error;
      if (this.#hasPaths) throw redactionFailed('a record is not the JSON that it is said to be');
      return this.#text.whole(record);
    }
  }
}

const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';
const LINE = /([^\r\n]*)(\r\n|\n|\r|$)/g;

interface EventLine {
  readonly content: string;
  readonly ending: string;
}

/** Server-sent events (WHATWG HTML §9.2.6): the data lines of an event are one text, JSON where it parses as such. */
export class EventStreamTransform extends RecordTransform {
  protected readonly boundary = /(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)/g;
  readonly #json: JsonRedactor;
  readonly #text: TextRedactor;

  constructor(options: BodyOptions) {
    super();
    const { rules, encoding, onRedacted } = options;
    this.#json = new JsonRedactor(rules, encoding, onRedacted);
    this.#text = textRedactor(options);
  }

  protected redactRecord(record: string): string {
    // A reader drops the mark (WHATWG HTML §9.2.5); the line behind it is a line like the others.
    if (record.startsWith(BYTE_ORDER_MARK)) {
      return BYTE_ORDER_MARK + this.#redactLines(record.slice(BYTE_ORDER_MARK.length));
    }
    return this.#redactLines(record);
  }

  #redactLines(record: string): string {
    const lines: EventLine[] = [];
    for (const [all, content, ending] of record.matchAll(LINE)) {
      if (all !== '') lines.push({ content: content!, ending: ending! });
    }
    const isData = (line: EventLine) => line.content === 'data' || line.content.startsWith('data:');
    const before = lines.filter(isData).map(dataOf).join('\n');
    const after = this.#redactData(before);
    if (after === before)
      return lines.map((line) => (isData(line) ? whole(line) : this.#other(line))).join('');
    const first = lines.find(isData)!;
    const data = after.split('\n').map((text) => `data: ${text}${first.ending || '\n'}`);
    return lines
      .map((line) => {
        if (!isData(line)) return this.#other(line);
        return line === first ? data.join('') : '';
      })
      .join('');
  }

  #other(line: EventLine): string {
    return this.#text.whole(line.content) + line.ending;
  }

  #redactData(data: string): string {
    if (/^\s*[[{"]/.test(data)) {
      try {
        return this.#json.whole(data);
      } catch (error) {
        if (!(error instanceof MalformedJson)) throw error;
      }
    }
    return this.#text.whole(data);
  }
}

function whole(line: EventLine): string {
  return line.content + line.ending;
}

function dataOf(line: EventLine): string {
  const value = line.content.slice('data:'.length);
  return value.startsWith(' ') ? value.slice(1) : value;
}
