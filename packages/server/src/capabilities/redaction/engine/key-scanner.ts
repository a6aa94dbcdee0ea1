import {
  ALNUM,
  type CharacterSet,
  isIn,
  KEY_SHAPES,
  type KeyEnd,
  type KeyRun,
  type KeyShape,
} from './key-shapes.js';
import type { Report, Scanner } from './scanner.js';

const PEM_DASHES = 5;
/** Dashes of the line `-----END …-----` come in two groups. */
const PEM_DASH_GROUPS = 2;

const LONGEST_PREFIX = Math.max(...KEY_SHAPES.map((shape) => shape.prefix.length));
const UNFINISHED_PREFIXES = new Set(
  KEY_SHAPES.flatMap(({ prefix }) =>
    Array.from({ length: prefix.length - 1 }, (_, i) => prefix.slice(0, i + 1)),
  ),
);
/** Prefixes hold letters, digits, `-`, `_` and spaces only, and none begins another. */
const ANY_PREFIX_SOURCE = KEY_SHAPES.map((shape) => shape.prefix).join('|');
const SHAPE_BY_PREFIX = new Map(KEY_SHAPES.map((shape) => [shape.prefix, shape]));

/** A run that may be longer than this is remembered. One shape has such, so that there is one to remember. */
const SHORT_RUN_MAX = 64;

const NO_RUN = { from: -1, to: -1 };

/** A credential whose last characters are still to come. */
interface Open {
  readonly start: number;
  readonly end: KeyEnd;
  dashes: number;
  dashGroups: number;
}

const ESCAPES: ReadonlySet<string> = new Set(['\\n', '\\r', '\\t', '\\b', '\\f']);

/** Credentials: the prefix is looked for, the least that makes it certain is checked, the rest is read to its end. */
export class KeyScanner implements Scanner {
  readonly #prefixes = new RegExp(ANY_PREFIX_SOURCE, 'g');
  #tail = '';
  #tailStart = 0;
  /** The two characters before the tail, which decide about an edge. */
  #before = '';
  #open: Open | null = null;
  /** The last long run as far as it was read, by its place in the whole text: prefixes inside it do not read it again. */
  #run = NO_RUN;

  reset(): void {
    this.#run = NO_RUN;
    this.#tail = '';
    this.#tailStart = 0;
    this.#before = '';
    this.#open = null;
  }

  feed(piece: string, report: Report): void {
    this.#scan(this.#tail + piece, false, report);
  }

  finish(report: Report): void {
    this.#scan(this.#tail, true, report);
  }

  settledBefore(): number {
    return this.#open?.start ?? this.#tailStart;
  }

  openSince(): number | null {
    return this.#open?.start ?? null;
  }

  #scan(text: string, ended: boolean, report: Report): void {
    let at = 0;
    for (;;) {
      if (this.#open) {
        at = readOn(text, at, this.#open);
        if (at === text.length && !ended && !isClosed(this.#open)) break;
        report('key', this.#open.start, this.#tailStart + at);
        this.#open = null;
      }
      this.#prefixes.lastIndex = at;
      const found = this.#prefixes.exec(text);
      if (!found) {
        at = ended ? text.length : unfinishedPrefix(text, at);
        break;
      }
      at = found.index;
      const shape = SHAPE_BY_PREFIX.get(found[0])!;
      const isPart = shape.edge && this.#isWithinWord(text, at);
      const certainEnd = isPart ? null : this.#certainUpTo(shape, text, at, ended);
      if (certainEnd === 'undecided') break;
      if (certainEnd === null) {
        at++;
        continue;
      }
      this.#open = { start: this.#tailStart + at, end: shape.end, dashes: 0, dashGroups: 0 };
      at = certainEnd;
    }
    this.#keep(text, at);
  }

  /** A letter or digit stands right before, and is not the end of an escape: JSON in a text that does not say so. */
  #isWithinWord(text: string, at: number): boolean {
    const before = at > 1 ? text.slice(at - 2, at) : (this.#before + text.slice(0, at)).slice(-2);
    return isIn(ALNUM, before.charCodeAt(before.length - 1)) && !ESCAPES.has(before);
  }

  /** Where the part that makes the shape certain ends; null when it is not that shape. */
  #certainUpTo(shape: KeyShape, text: string, start: number, ended: boolean): number | 'undecided' | null {
    const missing = ended ? null : 'undecided';
    let at = start + shape.prefix.length;
    for (const part of shape.parts) {
      if ('literal' in part) {
        const there = text.slice(at, at + part.literal.length);
        if (there !== part.literal) return part.literal.startsWith(there) ? missing : null;
        at += part.literal.length;
      } else {
        const from = at;
        at = this.#runEnd(part, text, from);
        if (at - from < part.min) return at === text.length ? missing : null;
      }
    }
    if (shape.end.kind !== 'edge') return at;
    if (at === text.length) return ended ? at : 'undecided';
    return isIn(ALNUM, text.charCodeAt(at)) ? null : at;
  }

  #runEnd({ run, max }: KeyRun, text: string, from: number): number {
    const bound = Math.min(text.length, from + max);
    if (max <= SHORT_RUN_MAX) return readRun(run, text, from, bound);
    const origin = this.#tailStart;
    const isInside = this.#run.from <= origin + from && origin + from <= this.#run.to;
    const readTo = isInside ? this.#run.to - origin : from;
    if (readTo >= bound) return bound;
    const end = readRun(run, text, readTo, bound);
    this.#run = { from: isInside ? this.#run.from : origin + from, to: origin + end };
    return end;
  }

  #keep(text: string, from: number): void {
    this.#before = (this.#before + text.slice(Math.max(0, from - 2), from)).slice(-2);
    this.#tail = text.slice(from);
    this.#tailStart += from;
  }
}

function readRun(run: CharacterSet, text: string, from: number, bound: number): number {
  let at = from;
  while (at < bound && isIn(run, text.charCodeAt(at))) at++;
  return at;
}

function readOn(text: string, from: number, open: Open): number {
  const { end } = open;
  if (end.kind === 'edge') return from;
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (!isIn(end.run, code)) return at;
    if (end.kind !== 'pem') continue;
    open.dashes = code === 0x2d ? open.dashes + 1 : 0;
    if (open.dashes === PEM_DASHES && ++open.dashGroups === PEM_DASH_GROUPS) return at + 1;
  }
  return at;
}

function isClosed(open: Open): boolean {
  return open.end.kind === 'edge' || open.dashGroups === PEM_DASH_GROUPS;
}

/** Start of the longest end of the text that may be the beginning of a prefix. */
function unfinishedPrefix(text: string, from: number): number {
  for (let at = Math.max(from, text.length - LONGEST_PREFIX + 1); at < text.length; at++) {
    if (UNFINISHED_PREFIXES.has(text.slice(at))) return at;
  }
  return text.length;
}
