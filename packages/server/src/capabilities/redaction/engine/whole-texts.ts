import type { RegexSearch } from '../regex/regex-search.js';
import type { BodyOptions } from './body-options.js';
import { charactersOf, encodeText, findsInBytes } from './byte-text.js';
import { JsonRedactor } from './json-redactor.js';
import { MalformedJson } from './malformed-json.js';
import type { Find } from './rule.js';
import { StringFinds } from './string-finds.js';
import { TextRedactor } from './text-redactor.js';

/** Redacts texts that are at hand as a whole. */
export interface WholeTexts {
  /** Throws `MalformedJson`. */
  json(text: string): string;
  text(text: string): string;
}

/** How a record is redacted: which of its parts are JSON, which are text. */
export type RedactParts = (record: string, parts: WholeTexts) => string;

/** A part that was asked for, and what regexes found in it. */
type Part =
  | {
      readonly kind: 'json';
      readonly text: string;
      readonly malformed: MalformedJson | null;
      found: StringFinds | null;
    }
  | { readonly kind: 'text'; readonly text: string; found: readonly Find[] };

/** Applies all rules to records one after the other. */
export class RecordRedactor {
  readonly #options: BodyOptions;
  readonly #json: JsonRedactor;
  readonly #text: TextRedactor;
  /** Only tells JSON from what is none. */
  readonly #reader: JsonRedactor;

  constructor(options: BodyOptions) {
    const { rules, encoding, onRedacted } = options;
    this.#options = options;
    this.#json = new JsonRedactor(rules, encoding, onRedacted);
    this.#text = new TextRedactor(rules.builtins, onRedacted, (text) => encodeText(text, encoding));
    this.#reader = new JsonRedactor({ builtins: new Map(), paths: null }, encoding, () => {});
  }

  redact(record: string, redactParts: RedactParts): string {
    return redactParts(record, {
      json: (text) => this.#json.whole(text),
      text: (text) => this.#text.whole(text),
    });
  }

  /** With regexes: first to see which parts are asked for, then again with what was found in them. */
  async redactSearched(record: string, redactParts: RedactParts, search: RegexSearch): Promise<string> {
    const parts: Part[] = [];
    redactParts(record, {
      json: (text) => {
        const malformed = this.#malformed(text);
        parts.push({ kind: 'json', text, malformed, found: null });
        if (malformed) throw malformed;
        return text;
      },
      text: (text) => {
        parts.push({ kind: 'text', text, found: [] });
        return text;
      },
    });
    for (const part of parts) await this.#search(part, search);
    const next = parts.values();
    return redactParts(record, {
      json: (text) => {
        const { malformed, found } = partOf(next.next().value, 'json', text);
        if (malformed) throw malformed;
        return this.#json.whole(text, found);
      },
      text: (text) => this.#text.whole(text, partOf(next.next().value, 'text', text).found),
    });
  }

  #malformed(text: string): MalformedJson | null {
    try {
      this.#reader.whole(text);
      return null;
    } catch (error) {
      if (error instanceof MalformedJson) return error;
      throw error;
    }
  }

  async #search(part: Part, search: RegexSearch): Promise<void> {
    const { encoding } = this.#options;
    if (part.kind === 'json') {
      if (part.malformed) return;
      part.found = await StringFinds.of(part.text, encoding, search);
    } else if (part.text !== '') {
      const characters = charactersOf(part.text, encoding);
      part.found = findsInBytes(await search.searchOne(characters), characters, part.text);
    }
  }
}

function partOf<Kind extends Part['kind']>(
  part: Part | undefined,
  kind: Kind,
  text: string,
): Part & { kind: Kind } {
  if (part?.kind !== kind || part.text !== text) throw new Error('a part was not searched');
  return part as Part & { kind: Kind };
}
