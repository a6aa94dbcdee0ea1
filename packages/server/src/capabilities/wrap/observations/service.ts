import type { Clock } from '../../../kernel/clock.js';
import type { Scope } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Caller } from '../../../kernel/principal.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { type DropReason, judge, type Observation, type SentObservation } from './judging.js';
import { createObservationStore, type KeptObservation, kindOf } from './store.js';

export interface Report {
  /** Which SDK, and its version. */
  readonly sdk: string;
  readonly observations: readonly SentObservation[];
}

export interface ReportResult {
  readonly accepted: number;
  readonly dropped: number;
  /** Of those that were dropped, how many for what. */
  readonly reasons: ReadonlyMap<DropReason, number>;
  /** Of those that were accepted, in how many a segment was masked. */
  readonly redacted: number;
}

/** What SDKs see leave a process past the proxy (dataplane.md §3.1): kinds of calls, never a call. */
export interface Observations {
  report(caller: Caller, report: Report): Promise<ReportResult>;
  list(caller: Caller): Promise<KeptObservation[]>;
  removeOld(rowsMax: number): Promise<number>;
}

export function createObservations({ db, clock }: { db: Database; clock: Clock }): Observations {
  const store = createObservationStore(db);

  /** Those for which there is room; how many there was none for. */
  async function keep(
    tx: Transaction,
    scope: Scope,
    found: ReadonlyMap<string, KeptObservation & { readonly rows: number }>,
  ): Promise<number> {
    const kept = await store.kept(tx, scope, [...found.keys()]);
    let room = LIMITS.egressObservationKindsMax - (await store.count(tx, scope));
    let refused = 0;
    for (const [id, { rows, ...one }] of found) {
      const before = kept.get(id);
      if (before) await store.update(tx, scope, id, merged(before, one));
      else if (room-- > 0) await store.insert(tx, scope, id, one);
      else refused += rows;
    }
    return refused;
  }

  return {
    async report(caller, { sdk, observations }) {
      const nowMs = clock.nowMs();
      const reasons = new Map<DropReason, number>();
      const found = new Map<string, KeptObservation & { readonly rows: number }>();
      const drop = (reason: DropReason, rows = 1) => reasons.set(reason, (reasons.get(reason) ?? 0) + rows);
      let redacted = 0;
      for (const sent of observations) {
        const judged = judge(sent, nowMs);
        if ('dropped' in judged) {
          drop(judged.dropped);
          continue;
        }
        if (judged.isRedacted) redacted++;
        const id = kindOf(sdk, judged.observation);
        const before = found.get(id);
        const one = { ...judged.observation, sdk, reportedAtMs: nowMs };
        found.set(id, { ...(before ? merged(before, one) : one), rows: (before?.rows ?? 0) + 1 });
      }
      const valid = [...found.values()].reduce((sum, { rows }) => sum + rows, 0);
      return db.transaction(async (tx) => {
        // Anew in a transaction that is tried again.
        const all = new Map(reasons);
        const refused = found.size === 0 ? 0 : await keep(tx, caller.principal.scope, found);
        if (refused > 0) all.set('too_many_kinds', refused);
        const accepted = valid - refused;
        const result = { accepted, dropped: observations.length - accepted, reasons: all, redacted };
        await recordAnswer(tx, caller, result);
        return result;
      });
    },

    list: ({ principal }) => store.list(principal.scope),

    removeOld: (rowsMax) =>
      db.transaction((tx) => store.removeOld(tx, clock.nowMs() - LIMITS.egressObservationKeptMs, rowsMax)),
  };
}

function merged<T extends Observation>(before: Observation, one: T): T {
  return {
    ...one,
    count: Math.min(before.count + one.count, Number.MAX_SAFE_INTEGER),
    firstSeenMs: Math.min(before.firstSeenMs, one.firstSeenMs),
    lastSeenMs: Math.max(before.lastSeenMs, one.lastSeenMs),
  };
}
