import type { TransformCallback } from 'node:stream';
import type { AppError } from '../../../kernel/errors.js';
import { GrowingBuffer } from '../../../kernel/growing-buffer.js';
import { LIMITS } from '../../../kernel/limits.js';
import { redactionFailed } from '../errors.js';
import type { RegexSearch } from '../regex/regex-search.js';
import type { BodyOptions } from './body-options.js';
import { fromByteText, toByteText } from './byte-text.js';
import { MalformedJson } from './malformed-json.js';
import { NarrowTextTransform } from './narrow-text-transform.js';
import { RecordRedactor, type WholeTexts } from './whole-texts.js';

/** Cuts a stream at its record boundaries; each record is inspected whole and released at once. */
abstract class RecordTransform extends NarrowTextTransform {
  /** Matches what ends a record, to its last byte. */
  protected abstract readonly boundary: RegExp;
  readonly #redactor: RecordRedactor;
  readonly #search: RegexSearch | null;
  readonly #pending = new GrowingBuffer();

  constructor(options: BodyOptions) {
    super();
    this.#redactor = new RecordRedactor(options);
    this.#search = options.search;
  }

  protected abstract redactRecord(record: string, parts: WholeTexts): string;

  protected override takeText(chunk: Buffer, done: TransformCallback): void {
    // A boundary has at most four bytes, so all but the last three were searched before.
    const searchedTo = Math.max(0, this.#pending.length - 3);
    this.#pending.append(chunk);
    const bytes = this.#pending.view();
    const unsearched = toByteText(bytes.subarray(searchedTo));
    const records: string[] = [];
    let start = 0;
    this.boundary.lastIndex = 0;
    while (this.boundary.test(unsearched)) {
      const end = searchedTo + this.boundary.lastIndex;
      records.push(toByteText(bytes.subarray(start, end)));
      start = end;
    }
    this.#pending.drop(start);
    const isTooLong = this.#pending.length > LIMITS.redactionRecordBytesMax;
    this.#release(records, (error) => done(error ?? (isTooLong ? tooLong() : null)));
  }

  override _flush(done: TransformCallback): void {
    this.#release([toByteText(this.#pending.view())], done);
  }

  /** Records before a refused one were inspected: they may leave. */
  #release(records: readonly string[], done: (error: Error | null) => void): void {
    if (this.#search) {
      this.#releaseSearched(records, this.#search).then(() => done(null), done);
      return;
    }
    let out = '';
    let failure: unknown = null;
    try {
      for (const record of records)
        out += this.#redactor.redact(withinBound(record), (text, parts) => this.redactRecord(text, parts));
    } catch (error) {
      failure = error;
    }
    if (out !== '') this.push(fromByteText(out));
    done(failure as Error | null);
  }

  async #releaseSearched(records: readonly string[], search: RegexSearch): Promise<void> {
    const redactParts = (text: string, parts: WholeTexts) => this.redactRecord(text, parts);
    for (const record of records) {
      const out = await this.#redactor.redactSearched(withinBound(record), redactParts, search);
      if (out !== '') this.push(fromByteText(out));
    }
  }
}

function withinBound(record: string): string {
  if (record.length > LIMITS.redactionRecordBytesMax) throw tooLong();
  return record;
}

function tooLong(): AppError {
  return redactionFailed('a record of the stream is longer than redaction inspects');
}

/** NDJSON lines and the elements of RFC 7464 text sequences. */
export class JsonRecordsTransform extends RecordTransform {
  protected readonly boundary: RegExp;
  readonly #hasPaths: boolean;

  constructor(separator: 'newline' | 'record_separator', options: BodyOptions) {
    super(options);
    this.boundary = separator === 'newline' ? /\n/g : /\x1e/g;
    this.#hasPaths = options.rules.paths !== null;
  }

  protected redactRecord(record: string, parts: WholeTexts): string {
    const end = record.endsWith('\x1e') ? record.length - 1 : record.length;
    const document = record.slice(0, end);
    if (document.trim() === '') return record;
    try {
      return parts.json(document) + record.slice(end);
    } catch (error) {
      if (!(error instanceof MalformedJson)) throw error;
      if (this.#hasPaths) throw redactionFailed('a record is not the JSON that it is said to be');
      return parts.text(record);
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

  protected redactRecord(record: string, parts: WholeTexts): string {
    // A reader drops the mark (WHATWG HTML §9.2.5); the line behind it is a line like the others.
    if (record.startsWith(BYTE_ORDER_MARK)) {
      return BYTE_ORDER_MARK + this.#redactLines(record.slice(BYTE_ORDER_MARK.length), parts);
    }
    return this.#redactLines(record, parts);
  }

  #redactLines(record: string, parts: WholeTexts): string {
    const lines: EventLine[] = [];
    for (const [all, content, ending] of record.matchAll(LINE)) {
      if (all !== '') lines.push({ content: content!, ending: ending! });
    }
    const isData = (line: EventLine) => line.content === 'data' || line.content.startsWith('data:');
    const before = lines.filter(isData).map(dataOf).join('\n');
    const after = redactData(before, parts);
    const other = (line: EventLine) => parts.text(line.content) + line.ending;
    if (after === before) return lines.map((line) => (isData(line) ? whole(line) : other(line))).join('');
    const first = lines.find(isData)!;
    const data = after.split('\n').map((text) => `data: ${text}${first.ending || '\n'}`);
    return lines
      .map((line) => {
        if (!isData(line)) return other(line);
        return line === first ? data.join('') : '';
      })
      .join('');
  }
}

function redactData(data: string, parts: WholeTexts): string {
  if (/^\s*[[{"]/.test(data)) {
    try {
      return parts.json(data);
    } catch (error) {
      if (!(error instanceof MalformedJson)) throw error;
    }
  }
  return parts.text(data);
}

function whole(line: EventLine): string {
  return line.content + line.ending;
}

function dataOf(line: EventLine): string {
  const value = line.content.slice('data:'.length);
  return value.startsWith(' ') ? value.slice(1) : value;
}
