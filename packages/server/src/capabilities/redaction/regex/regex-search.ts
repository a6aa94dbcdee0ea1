import type { Clock } from '../../../kernel/clock.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Find, RankedRule } from '../engine/rule.js';
import { redactionFailed } from '../errors.js';
import type { RegexPool, RegexSet } from './regex-pool.js';

let lastSetId = 0;

/** The regex rules that bear on one kind of answer. */
export class RegexRules {
  readonly rules: readonly RankedRule[];
  readonly set: RegexSet;

  constructor(rules: readonly RankedRule[], owner: object) {
    this.rules = rules;
    this.set = { id: ++lastSetId, owner, patterns: rules.map(({ spec }) => spec.match.value) };
  }
}

/** Replacements may be longer than what they replace, so their number bounds how an answer can grow. */
const FINDS_MAX = 100_000;
/** A stream may last for hours: its time comes back at one part in a hundred of what passes (docs/decisions/0056). */
const REGAINED_SHARE = 0.01;

export interface RegexSearchDeps {
  readonly pool: Pick<RegexPool, 'run'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

/** What regex rules find in one answer, within its time (dataplane §7: 200 ms in all). */
export class RegexSearch {
  readonly #rules: RegexRules;
  readonly #deps: RegexSearchDeps;
  #spentMs = 0;
  #spentAtMs = 0;
  #findsLeft = FINDS_MAX;

  constructor(rules: RegexRules, deps: RegexSearchDeps) {
    this.#rules = rules;
    this.#deps = deps;
  }

  get rules(): readonly RankedRule[] {
    return this.#rules.rules;
  }

  /** Looks through texts that stand one behind the other. Finds by the text's place; in order for each rule. */
  async search(
    text: string,
    ends: readonly number[],
    froms?: readonly number[],
  ): Promise<ReadonlyMap<number, readonly Find[]>> {
    const nowMs = this.#deps.clock.monotonicMs();
    const timeMs = LIMITS.redactionRegexMs - this.#spentSince(nowMs);
    if (timeMs <= 0) throw overTime();
    const { finds, spentMs } = await this.#deps.pool.run({
      set: this.#rules.set,
      text,
      ends: Uint32Array.from(ends),
      froms: froms && Int32Array.from(froms),
      timeMs,
      findsMax: this.#findsLeft,
    });
    this.#spentMs += spentMs;
    if (!finds) throw overTime();
    this.#findsLeft -= finds.length / 4;
    const found = new Map<number, Find[]>();
    for (let i = 0; i < finds.length; i += 4) {
      const [place, rule] = [finds[i]!, this.#rules.rules[finds[i + 1]!]!];
      const find = { rule, start: finds[i + 2]!, end: finds[i + 3]! };
      const others = found.get(place);
      if (others) others.push(find);
      else found.set(place, [find]);
    }
    return found;
  }

  async searchOne(text: string, froms?: readonly number[]): Promise<readonly Find[]> {
    const found = await this.search(text, [text.length], froms);
    return found.get(0) ?? [];
  }

  #spentSince(nowMs: number): number {
    const regainedMs = this.#spentMs === 0 ? 0 : (nowMs - this.#spentAtMs) * REGAINED_SHARE;
    this.#spentMs = Math.max(0, this.#spentMs - regainedMs);
    this.#spentAtMs = nowMs;
    return this.#spentMs;
  }
}

function overTime() {
  return redactionFailed('its regex rules take too long or find too much');
}
