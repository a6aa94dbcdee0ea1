import { LIMITS } from '../../../kernel/limits.js';
import type { Secret } from '../../../kernel/secret.js';
import { bytesOf, type TextEncoding } from '../engine/byte-text.js';
import { EchoPatterns } from './echo-patterns.js';
import { kindsOf, type Searched } from './echo-scanner.js';

/** A value that was read for a call. */
export interface DetokenizedValue {
  readonly value: Secret<string>;
  /** As the caller's reference names it. */
  readonly token: string;
  /** False for the values of a vault whose guard is off. */
  readonly isGuarded: boolean;
}

interface Spelling {
  readonly bytes: Buffer;
  readonly token: string;
}

/** Values that are looked for, prepared for texts of each encoding: with long values that takes a while. */
export class EchoSearch {
  readonly #values: readonly DetokenizedValue[];
  readonly #searched = new Map<TextEncoding, Searched>();
  readonly notGuarded: number;
  /** Of the shortest value; infinite where none is looked for. */
  readonly bytesMin: number;

  constructor(values: readonly DetokenizedValue[]) {
    this.#values = values.filter(isLookedFor);
    this.notGuarded = values.length - this.#values.length;
    this.bytesMin = this.#values.reduce((least, { value }) => Math.min(least, bytesMinOf(value)), Infinity);
  }

  in(encoding: TextEncoding): Searched {
    const known = this.#searched.get(encoding);
    if (known) return known;
    const spellings = this.#values.flatMap(({ value, token }): Spelling[] =>
      spellingsOf(value.reveal(), encoding).map((bytes) => ({ bytes, token })),
    );
    const hasSpace = this.#values.some(({ value }) => value.reveal().includes(' '));
    const texts = spellings.map(({ bytes }) => bytes);
    const patterns = new EchoPatterns(texts);
    const forms: Searched['forms'] = hasSpace ? ['json', 'percent', 'form'] : ['json', 'percent'];
    const tokens = spellings.map(({ token }) => token);
    const searched: Searched = {
      ...{ patterns, spellings: texts, tokens, forms },
      kinds: kindsOf(patterns, forms),
    };
    this.#searched.set(encoding, searched);
    return searched;
  }
}

interface Recurring {
  readonly values: readonly DetokenizedValue[];
  readonly search: EchoSearch;
}

/** Of the values together: a search takes some twenty times as much, twice that where two encodings are read. */
const RECURRING_BYTES_MAX = 4_096;

/** By the first of the values; they are held no longer than that one is. */
const recurring = new WeakMap<Secret<string>, Recurring>();

/** The search for these values, made once for as long as they are the same objects in the same order. */
export function recurringSearch(values: readonly DetokenizedValue[]): EchoSearch {
  const first = values[0]?.value;
  if (first === undefined) return new EchoSearch(values);
  const known = recurring.get(first);
  if (known && areSame(known.values, values)) return known.search;
  const search = new EchoSearch(values);
  const bytes = values.reduce((sum, { value }) => sum + Buffer.byteLength(value.reveal()), 0);
  if (bytes <= RECURRING_BYTES_MAX) recurring.set(first, { values, search });
  return search;
}

function areSame(some: readonly DetokenizedValue[], others: readonly DetokenizedValue[]): boolean {
  return (
    some.length === others.length &&
    some.every(({ value, token, isGuarded }, i) => {
      const other = others[i]!;
      return value === other.value && token === other.token && isGuarded === other.isGuarded;
    })
  );
}

/** Percent-encoding is of UTF-8 in a text of any character set. */
function spellingsOf(value: string, encoding: TextEncoding): Buffer[] {
  const utf8 = Buffer.from(value, 'utf8');
  if (encoding === 'utf-8') return [utf8];
  const own = bytesOf(value, encoding);
  return own.equals(utf8) ? [own] : [own, utf8];
}

/** In any encoding a character takes a byte or more, and escaped no fewer. */
function bytesMinOf(value: Secret<string>): number {
  return Array.from(value.reveal()).length;
}

function isLookedFor({ value, isGuarded }: DetokenizedValue): boolean {
  return isGuarded && Buffer.byteLength(value.reveal()) >= LIMITS.echoValueBytesMin;
}
