import { setImmediate as nextTurn } from 'node:timers/promises';
import { redactionFailed } from '../errors.js';
import type { RegexSearch } from '../regex/regex-search.js';
import { charactersOf, decodeText, type TextEncoding } from './byte-text.js';
import { readStringEnd, skipSpace } from './json-tokens.js';
import type { Find } from './rule.js';

/** Strings that begin in so much of a document are searched together. */
const BATCH_BYTES = 64 * 1024;
const COLON = 0x3a;

/** What regexes found in the string values of one document, by their order in it. */
export class StringFinds {
  readonly #finds = new Map<number, readonly Find[]>();
  #count = 0;

  of(index: number): readonly Find[] | undefined {
    return this.#finds.get(index);
  }

  /** The strings that were redacted must be those that were searched. */
  assertCount(strings: number): void {
    if (strings !== this.#count) throw redactionFailed('not all of its strings were searched');
  }

  /** Reads only as much of the syntax as tells strings apart; what is no JSON is for the redactor to refuse. */
  static async of(text: string, encoding: TextEncoding, search: RegexSearch): Promise<StringFinds> {
    const found = new StringFinds();
    let at = 0;
    while (at < text.length) {
      const batch = stringsFrom(text, at, encoding);
      at = batch.end;
      await found.#take(batch.texts, search);
    }
    return found;
  }

  async #take(texts: readonly string[], search: RegexSearch): Promise<void> {
    const first = this.#count;
    this.#count += texts.length;
    if (texts.length === 0) return nextTurn();
    let end = 0;
    const ends = texts.map((text) => {
      end += text.length;
      return end;
    });
    for (const [index, finds] of await search.search(texts.join(''), ends))
      this.#finds.set(first + index, finds);
  }
}

interface Batch {
  readonly texts: string[];
  /** Where the next one begins. */
  readonly end: number;
}

/** The string values that begin in the next stretch, as characters. Member names are told by the colon behind them. */
function stringsFrom(text: string, from: number, encoding: TextEncoding): Batch {
  const texts: string[] = [];
  let at = from;
  while (at < from + BATCH_BYTES) {
    const quote = text.indexOf('"', at);
    if (quote === -1) return { texts, end: text.length };
    const { end, escaped } = readStringEnd(text, quote + 1);
    at = end + 1;
    if (text.charCodeAt(skipSpace(text, at)) === COLON) continue;
    const raw = text.slice(quote + 1, end);
    texts.push(
      escaped ? (JSON.parse(`"${decodeText(raw, encoding)}"`) as string) : charactersOf(raw, encoding),
    );
  }
  return { texts, end: at };
}
