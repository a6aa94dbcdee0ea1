import type { PathStep } from './json-path.js';
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
  /** Places as `rule * STRIDE + step`. */
  readonly places: readonly number[];
  readonly next: Map<string | number, PathState>;
}

/** Below no path. */
export const NOWHERE: PathState = { match: null, isDead: true, places: [], next: new Map() };

const STRIDE = 64;
/** Stands for every name or index that no path mentions. */
const OTHER_NAME = -2;
const OTHER_INDEX = -1;
const STATES_MAX = 2048;

/**
 * All JSON paths as one automaton, built while documents are read: a value costs one map look-up, however many rules
 * there are. The set of known states is bounded and begun anew when full.
 */
export class PathAutomaton {
  readonly start: PathState;
  readonly #rules: readonly PathRule[];
  readonly #names = new Set<string>();
  readonly #indexes = new Set<number>();
  #states = new Map<string, PathState>();

  constructor(rules: readonly PathRule[]) {
    this.#rules = rules;
    for (const { steps } of rules) {
      for (const step of steps) {
        if (step.kind === 'name') this.#names.add(step.name);
        if (step.kind === 'index') this.#indexes.add(step.index);
      }
    }
    const roots = rules.filter((rule) => rule.steps.length === 0).map((rule) => rule.rule);
    const places = rules.flatMap((rule, index) => (rule.steps.length === 0 ? [] : [index * STRIDE]));
    this.start = this.#state(places, firstOf(roots));
  }

  /** The state of a member or element of the value that `state` belongs to. */
  step(state: PathState, key: string | number): PathState {
    if (state.isDead) return NOWHERE;
    const known = this.#known(key);
    const next = state.next.get(known) ?? this.#build(state, known);
    state.next.set(known, next);
    return next;
  }

  #known(key: string | number): string | number {
    if (typeof key === 'string') return this.#names.has(key) ? key : OTHER_NAME;
    return this.#indexes.has(key) ? key : OTHER_INDEX;
  }

  #build(state: PathState, key: string | number): PathState {
    const places = new Set<number>();
    const accepted: RankedRule[] = [];
    for (const place of state.places) {
      const { rule, steps } = this.#rules[Math.floor(place / STRIDE)]!;
      const stepIndex = place % STRIDE;
      const step = steps[stepIndex]!;
      if (step.deep) places.add(place);
      if (!matches(step, key)) continue;
      if (stepIndex + 1 === steps.length) accepted.push(rule);
      else places.add(place + 1);
    }
    return this.#state(
      [...places].sort((a, b) => a - b),
      firstOf(accepted),
    );
  }

  #state(places: readonly number[], match: RankedRule | null): PathState {
    const id = `${places.join(',')}|${match?.rank ?? ''}`;
    const existing = this.#states.get(id);
    if (existing) return existing;
    if (this.#states.size >= STATES_MAX) {
      for (const state of this.#states.values()) state.next.clear();
      this.#states = new Map();
    }
    const state: PathState = { match, isDead: places.length === 0, places, next: new Map() };
    this.#states.set(id, state);
    return state;
  }
}

function matches(step: PathStep, key: string | number): boolean {
  if (step.kind === 'any') return true;
  return step.kind === 'name' ? step.name === key : step.index === key;
}

function firstOf(rules: readonly RankedRule[]): RankedRule | null {
  return rules.reduce<RankedRule | null>((best, rule) => (best && best.rank < rule.rank ? best : rule), null);
}
