import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../kernel/clock.js';
import { validationError } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import type { Database } from '../../platform/storage/database.js';
import type { ApiLogs } from '../api-logs/index.js';
import type { Plans } from '../plans/index.js';
import { type Counting, createCounting } from './counting.js';
import { Counts } from './counts.js';
import { type Group, OTHERS } from './groups.js';
import { createRollupStore, type RollupFilter, type Span } from './store.js';
import { UNIT_MS, type Unit } from './units.js';

export interface AnalyticsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly apiLogs: Pick<ApiLogs, 'tally' | 'walk' | 'firstFrom' | 'settledAfterMs'>;
  readonly plans: Pick<Plans, 'logKeptMs' | 'requireFeature'>;
}

export const GROUPINGS = ['route', 'environment', 'client', 'proxy_mode', 'status_class'] as const;
export type Grouping = (typeof GROUPINGS)[number];

export interface AnalyticsQuery extends RollupFilter {
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  readonly unit?: Unit | undefined;
  readonly groupBy?: Grouping | undefined;
  /** The hundreds of the status. */
  readonly statusClass?: number | undefined;
}

export interface AnalyticsGroup {
  /** Null = calls without one. */
  readonly value: string | null;
  readonly isOthers: boolean;
  readonly counts: Counts;
}

export interface AnalyticsReport {
  readonly unit: Unit;
  /** In whole units. */
  readonly fromMs: number;
  readonly toMs: number;
  /** What was written to the log before then is counted. */
  readonly countedToMs: number;
  readonly totals: Counts;
  readonly series: readonly { readonly startMs: number; readonly counts: Counts }[];
  /** The largest first; null where none were asked for. */
  readonly groups: readonly AnalyticsGroup[] | null;
  readonly groupsTotal: number;
}

export interface Analytics extends Counting {
  report(scope: Scope, query: AnalyticsQuery): Promise<AnalyticsReport>;
  /** What was written to the log before then is counted. */
  countedToMs(scope: Scope): Promise<number>;
  /** Of the calls that began from that minute on; for the server itself, whatever the plan has. */
  since(scope: Scope, fromMs: number, filter: RollupFilter): Promise<Counts>;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
export const POINTS_MAX = 1_500;
export const GROUPS_SHOWN_MAX = 100;
/** Intervals read at once: each has a thousand groups at most. */
const INTERVALS_AT_ONCE = 24;
/** The finest unit that a range of that length is shown in, where none is asked for. */
const MINUTES_UP_TO_MS = 3 * HOUR_MS;
const HOURS_UP_TO_MS = 14 * DAY_MS;

export function createAnalytics({ db, clock, apiLogs, plans }: AnalyticsDeps): Analytics {
  const store = createRollupStore(db);

  async function countedTo(scope: Scope): Promise<number> {
    const first = await apiLogs.firstFrom(scope, (await store.position(scope)) + 1);
    const settledMs = clock.nowMs() - apiLogs.settledAfterMs;
    return Math.min(first?.loggedAtMs ?? settledMs, settledMs);
  }

  return {
    ...createCounting({ db, clock, store, apiLogs, plans }),

    countedToMs: countedTo,

    async since(scope, fromMs, filter) {
      const counts = new Counts();
      // A call of this very moment is in it.
      for (const span of spansSince(fromMs, clock.nowMs() + 1)) {
        for (const group of await store.within(scope, span, filter)) counts.merge(group.counts);
        await nextTurn();
      }
      return counts;
    },

    async report(scope, query) {
      await plans.requireFeature(scope.tenantId, 'analytics');
      const { unit, fromMs, toMs } = spanOf(query, clock.nowMs());
      const countedToMs = await countedTo(scope);
      const totals = new Counts();
      const series = new Map<number, Counts>();
      const groups = new Map<string, Counts>();
      for (let startMs = fromMs; startMs < toMs; startMs += UNIT_MS[unit]) series.set(startMs, new Counts());
      for (const span of stepsOf({ unit, fromMs, toMs })) {
        for (const group of await store.within(scope, span, query)) {
          totals.merge(group.counts, query.statusClass);
          series.get(group.startMs)!.merge(group.counts, query.statusClass);
          if (query.groupBy !== undefined) addTo(groups, group, query.groupBy, query.statusClass);
        }
        await nextTurn();
      }
      const ranked = [...groups].map(([value, counts]) => ({ value, counts, requests: counts.requests }));
      ranked.sort((a, b) => b.requests - a.requests || (a.value < b.value ? -1 : 1));
      return {
        unit,
        fromMs,
        toMs,
        countedToMs,
        totals,
        series: [...series].map(([startMs, counts]) => ({ startMs, counts })),
        groups:
          query.groupBy === undefined
            ? null
            : ranked.slice(0, GROUPS_SHOWN_MAX).map(({ value, counts }) => ({
                value: value === '' || value === OTHERS ? null : value,
                isOthers: value === OTHERS,
                counts,
              })),
        groupsTotal: ranked.length,
      };
    },
  };
}

/** Whole hours as such, what is before and behind them by the minute. */
function* spansSince(fromMs: number, toMs: number): Generator<Span> {
  const hoursFromMs = Math.ceil(fromMs / HOUR_MS) * HOUR_MS;
  const hoursToMs = Math.max(hoursFromMs, Math.floor(toMs / HOUR_MS) * HOUR_MS);
  yield* stepsOf({ unit: 'minute', fromMs, toMs: Math.min(hoursFromMs, toMs) });
  yield* stepsOf({ unit: 'hour', fromMs: hoursFromMs, toMs: hoursToMs });
  yield* stepsOf({ unit: 'minute', fromMs: hoursToMs, toMs });
}

function* stepsOf({ unit, fromMs, toMs }: Span): Generator<Span> {
  const step = INTERVALS_AT_ONCE * UNIT_MS[unit];
  for (let at = fromMs; at < toMs; at += step) yield { unit, fromMs: at, toMs: Math.min(at + step, toMs) };
}

/** Whole units around the range that is asked for; by default the last 24 hours. */
function spanOf({ fromMs, toMs, unit: asked }: AnalyticsQuery, nowMs: number) {
  // A call of this very moment is in it.
  const endMs = toMs ?? nowMs + 1;
  const beginMs = fromMs ?? endMs - DAY_MS;
  if (beginMs >= endMs) throw validationError('from', 'must be before `to`');
  const unit = asked ?? unitFor(beginMs, endMs, nowMs);
  const size = UNIT_MS[unit];
  const span = {
    unit,
    fromMs: Math.floor(beginMs / size) * size,
    toMs: Math.ceil(endMs / size) * size,
  };
  if ((span.toMs - span.fromMs) / size > POINTS_MAX)
    throw validationError(
      asked === undefined ? 'from' : 'interval',
      `an answer has at most ${POINTS_MAX} intervals of a ${unit}`,
    );
  return span;
}

function unitFor(fromMs: number, toMs: number, nowMs: number): Unit {
  // Minutes are kept for two days.
  if (toMs - fromMs <= MINUTES_UP_TO_MS && fromMs > nowMs - DAY_MS) return 'minute';
  return toMs - fromMs <= HOURS_UP_TO_MS ? 'hour' : 'day';
}

function addTo(
  groups: Map<string, Counts>,
  group: Group,
  groupBy: Grouping,
  statusClass: number | undefined,
): void {
  const add = (value: string, ofClass: number | undefined) => {
    const known = groups.get(value) ?? new Counts();
    groups.set(value, known);
    known.merge(group.counts, ofClass);
  };
  if (groupBy !== 'status_class') {
    add(dimensionOf(group, groupBy), statusClass);
    return;
  }
  for (const name of group.counts.classes.keys())
    if (statusClass === undefined || name === statusClass) add(`${name}xx`, name);
}

function dimensionOf(group: Group, groupBy: Exclude<Grouping, 'status_class'>): string {
  switch (groupBy) {
    case 'route':
      return group.routeId;
    case 'environment':
      return group.environment;
    case 'client':
      return group.clientId;
    case 'proxy_mode':
      return group.proxyMode;
  }
}
