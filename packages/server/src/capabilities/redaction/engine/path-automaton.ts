import type { PathStep } from '../../../kernel/json-path.js';
import type { RankedRule } from './rule.js';

export interface PathRule {
  readonly rule: RankedRule;
  readonly steps: readonly PathStep[];
}

/** Where a walk down a document stands with respect to all paths at once. */
export interface PathState {
  /** The rule that decides about the value reached, if one names it. */
  readonly match: RankedRule | null;
  /** Nothing below this value can match. */
  readonly isDead: boolean;
  /** The steps that wait for a name or an index, one bit each. */
  readonly waiting: Uint32Array;
  readonly next: Map<string | number, PathState>;
}

/** Below no path. */
export const NOWHERE: PathState = {
  match: null,
  isDead: true,
  waiting: new Uint32Array(0),
  next: new Map(),
};

const BITS = 32;
/** Stands for every name or index that no path mentions. */
const OTHER_NAME = -2;
const OTHER_INDEX = -1;
/** What is kept of the states met so far: their words, and the ways from one to another. */
const WORDS_KEPT_MAX = 1 << 18;
const WAYS_KEPT_MAX = 1 << 14;
/** A word of bits takes about as long as this part of a character of the document. */
const WORDS_A_CHARACTER = 16;

/** The words in which the steps of one name or index have bits; paths that share no name cost each other nothing. */
interface Mask {
  readonly words: number[];
  readonly bits: number[];
}

/**
 * All JSON paths as one automaton, built while documents are read: a value costs one map look-up, however many rules
 * there are. A state that was not met before costs one pass over the bits of all steps, whatever the document does
 * (`..` keeps a step waiting at every depth). What is kept of them is bounded and begun anew when full.
 */
export class PathAutomaton {
  readonly start: PathState;
  /** Of each bit; of the rules that name one value, the lowest bit is the one that decides. */
  readonly #ruleOfBit: RankedRule[] = [];
  readonly #deep: Uint32Array;
  readonly #last: Uint32Array;
  readonly #any: Uint32Array;
  readonly #names = new Map<string, Mask>();
  readonly #indexes = new Map<number, Mask>();
  readonly #matched: Uint32Array;
  #states = new Map<number, PathState[]>();
  #wordsKept = 0;
  #waysKept = 0;
  #work = 0;

  constructor(rules: readonly PathRule[]) {
    const sorted = [...rules].sort((a, b) => a.rule.rank - b.rule.rank);
    const bits = sorted.reduce((sum, { steps }) => sum + steps.length, 0);
    const zeros = () => new Uint32Array(Math.ceil(bits / BITS));
    this.#deep = zeros();
    this.#last = zeros();
    this.#any = zeros();
    this.#matched = zeros();
    const waiting = zeros();
    for (const { rule, steps } of sorted) {
      if (steps.length > 0) setBit(waiting, this.#ruleOfBit.length);
      for (const [index, step] of steps.entries()) this.#addStep(rule, step, index + 1 === steps.length);
    }
    const root = sorted.find(({ steps }) => steps.length === 0);
    this.start = this.#state(waiting, root?.rule ?? null, 0);
  }

  /** What the steps so far cost beside look-ups, in characters of a document that would take as long to read. */
  get work(): number {
    return this.#work;
  }

  /** The state of a member or element of the value that `state` belongs to. */
  step(state: PathState, key: string | number): PathState {
    if (state.isDead) return NOWHERE;
    const mask = typeof key === 'string' ? this.#names.get(key) : this.#indexes.get(key);
    const known = mask ? key : typeof key === 'string' ? OTHER_NAME : OTHER_INDEX;
    const met = state.next.get(known);
    if (met) return met;
    const next = this.#build(state.waiting, mask);
    if (++this.#waysKept > WAYS_KEPT_MAX) this.#forget();
    state.next.set(known, next);
    return next;
  }

  #addStep(rule: RankedRule, step: PathStep, isLast: boolean): void {
    const bit = this.#ruleOfBit.push(rule) - 1;
    if (step.deep) setBit(this.#deep, bit);
    if (isLast) setBit(this.#last, bit);
    if (step.kind === 'any') setBit(this.#any, bit);
    else if (step.kind === 'name') addTo(this.#names, step.name, bit);
    else addTo(this.#indexes, step.index, bit);
  }

  #build(waiting: Uint32Array, mask: Mask | undefined): PathState {
    const matched = this.#matched;
    for (let i = 0; i < matched.length; i++) matched[i] = waiting[i]! & this.#any[i]!;
    const named = mask?.words.length ?? 0;
    for (let i = 0; i < named; i++) {
      const word = mask!.words[i]!;
      matched[word] = matched[word]! | (waiting[word]! & mask!.bits[i]!);
    }
    this.#work += 1 + (matched.length + named) / WORDS_A_CHARACTER;
    const next = new Uint32Array(matched.length);
    let match: RankedRule | null = null;
    let carry = 0;
    let hash = 0;
    for (let i = 0; i < matched.length; i++) {
      const complete = matched[i]! & this.#last[i]!;
      if (complete !== 0) match ??= this.#ruleOfBit[i * BITS + lowestBit(complete)]!;
      const onward = matched[i]! & ~this.#last[i]!;
      next[i] = (waiting[i]! & this.#deep[i]!) | (onward << 1) | carry;
      carry = onward >>> (BITS - 1);
      hash = Math.imul(hash ^ next[i]!, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return this.#state(next, match, hash);
  }

  #state(waiting: Uint32Array, match: RankedRule | null, hash: number): PathState {
    const alike = this.#states.get(hash);
    const existing = alike?.find((state) => state.match === match && isSame(state.waiting, waiting));
    if (existing) return existing;
    this.#wordsKept += waiting.length + 1;
    if (this.#wordsKept > WORDS_KEPT_MAX) this.#forget();
    const state: PathState = { match, isDead: waiting.every((word) => word === 0), waiting, next: new Map() };
    const kept = this.#states.get(hash);
    if (kept) kept.push(state);
    else this.#states.set(hash, [state]);
    return state;
  }

  #forget(): void {
    for (const alike of this.#states.values()) for (const state of alike) state.next.clear();
    this.start.next.clear();
    this.#states = new Map();
    this.#wordsKept = 0;
    this.#waysKept = 0;
  }
}

function setBit(words: Uint32Array, bit: number): void {
  const word = Math.floor(bit / BITS);
  words[word] = words[word]! | (1 << (bit % BITS));
}

function addTo<Key>(masks: Map<Key, Mask>, key: Key, bit: number): void {
  const mask = masks.get(key) ?? { words: [], bits: [] };
  masks.set(key, mask);
  const word = Math.floor(bit / BITS);
  // Bits are given out in order.
  if (mask.words.at(-1) === word) mask.bits.push(mask.bits.pop()! | (1 << (bit % BITS)));
  else {
    mask.words.push(word);
    mask.bits.push(1 << (bit % BITS));
  }
}

function lowestBit(word: number): number {
  return BITS - 1 - Math.clz32(word & -word);
}

function isSame(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
