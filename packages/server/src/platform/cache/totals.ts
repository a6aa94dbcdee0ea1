import type { Clock } from '../../kernel/clock.js';

/** A list of no more rows is counted exactly, each time. */
export const EXACT_ROWS_MAX = 5_000;
/** How long the total of a longer one is given out again. */
const KEPT_MS = 10_000;
const KEPT_LISTS_MAX = 1_000;

export interface Totals {
  /** What `count` says; of a list of more than 5,000 rows at most 10 s old. `list` names it with its filter. */
  of(list: string, count: () => Promise<number>): Promise<number>;
}

/** Counting costs more with each row: a page of a million must not pay it each time (docs/decisions/0051). */
export function createTotals({ clock }: { readonly clock: Pick<Clock, 'monotonicMs'> }): Totals {
  const kept = new Map<string, { readonly total: number; readonly untilMs: number }>();
  return {
    async of(list, count) {
      const known = kept.get(list);
      if (known && known.untilMs > clock.monotonicMs()) return known.total;
      kept.delete(list);
      const total = await count();
      if (total <= EXACT_ROWS_MAX) return total;
      if (kept.size >= KEPT_LISTS_MAX) kept.delete(kept.keys().next().value as string);
      kept.set(list, { total, untilMs: clock.monotonicMs() + KEPT_MS });
      return total;
    },
  };
}
