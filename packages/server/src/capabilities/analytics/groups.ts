import type { TalliedCalls } from '../api-logs/index.js';
import { Counts } from './counts.js';
import { UNIT_MS, UNITS, type Unit } from './units.js';

/** Which calls a rollup counts. */
export interface GroupKey {
  readonly unit: Unit;
  readonly startMs: number;
  /** '' = none, `OTHERS` = one of those beyond the bound. */
  readonly routeId: string;
  readonly environment: string;
  readonly clientId: string;
  readonly proxyMode: string;
}

export interface Group extends GroupKey {
  readonly counts: Counts;
}

export const OTHERS = '*';

/** Of one minute, hour or day: what comes beyond is counted together. */
export const GROUPS_MAX = 1_000;

export function textOf({ unit, startMs, routeId, environment, clientId, proxyMode }: GroupKey): string {
  return JSON.stringify([unit, startMs, routeId, environment, clientId, proxyMode]);
}

/** Counts of rows that were read together, to be added to what is stored. */
export class Groups {
  readonly #groups = new Map<string, Group>();

  get size(): number {
    return this.#groups.size;
  }

  add(log: TalliedCalls): void {
    for (const unit of UNITS) {
      const key: GroupKey = {
        unit,
        startMs: Math.floor(log.tsMs / UNIT_MS[unit]) * UNIT_MS[unit],
        routeId: log.routeId ?? '',
        environment: log.environment ?? '',
        clientId: log.matchedClientId ?? '',
        proxyMode: log.proxyMode,
      };
      this.#at(key).counts.add(log, log.calls);
    }
  }

  /** Starts of a unit that have something, ascending. */
  startsOf(unit: Unit): number[] {
    const starts = [...this.#groups.values()]
      .filter((group) => group.unit === unit)
      .map((group) => group.startMs);
    return [...new Set(starts)].sort((a, b) => a - b);
  }

  /** Those of a unit, together with all that is stored of their starts: the groups that change, no more of a start than the bound. */
  mergedInto(unit: Unit, stored: readonly Group[]): Group[] {
    const known = new Map(stored.map((group) => [textOf(group), group]));
    const sizes = new Map<string, number>();
    for (const group of stored) sizes.set(startOf(group), (sizes.get(startOf(group)) ?? 0) + 1);
    const changed = new Map<string, Group>();
    for (const group of this.#groups.values()) {
      if (group.unit !== unit) continue;
      const size = sizes.get(startOf(group)) ?? 0;
      const isNew = !known.has(textOf(group));
      const key = isNew && size >= GROUPS_MAX ? othersOf(group) : group;
      const text = textOf(key);
      let target = known.get(text);
      if (target === undefined) {
        target = { ...keyOf(key), counts: new Counts() };
        known.set(text, target);
        sizes.set(startOf(group), size + 1);
      }
      target.counts.merge(group.counts);
      changed.set(text, target);
    }
    return [...changed.values()];
  }

  #at(key: GroupKey): Group {
    const text = textOf(key);
    const known = this.#groups.get(text);
    if (known) return known;
    const made = { ...key, counts: new Counts() };
    this.#groups.set(text, made);
    return made;
  }
}

const startOf = ({ unit, startMs }: GroupKey) => `${unit} ${startMs}`;

function keyOf({ unit, startMs, routeId, environment, clientId, proxyMode }: GroupKey): GroupKey {
  return { unit, startMs, routeId, environment, clientId, proxyMode };
}

function othersOf(key: GroupKey): GroupKey {
  return { ...keyOf(key), routeId: OTHERS, environment: OTHERS, clientId: OTHERS };
}
