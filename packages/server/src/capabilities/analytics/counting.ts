import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../kernel/clock.js';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { batchReport, type JobContext, type JobReport } from '../../platform/jobs/definition.js';
import type { Database } from '../../platform/storage/database.js';
import type { ApiLogs } from '../api-logs/index.js';
import type { Plans } from '../plans/index.js';
import { Groups } from './groups.js';
import type { RollupStore } from './store.js';
import { UNITS } from './units.js';

export interface CountingDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly store: RollupStore;
  readonly apiLogs: Pick<ApiLogs, 'tally' | 'walk'>;
  readonly plans: Pick<Plans, 'logKeptMs'>;
}

export interface Counting {
  /** Adds the settled rows of every tenant and mode to the rollups. */
  count(context: JobContext): Promise<JobReport>;
  /** Removes what is kept no longer. */
  trim(context: JobContext): Promise<JobReport>;
}

const ROWS_AT_ONCE = 2_500;
/** Of one commit: so many rows, or rows until there are so many groups. */
const ROWS_A_COMMIT = 5_000;
const GROUPS_A_COMMIT = 1_500;
const COUNTED_A_TURN = 250;
const TRIMMED_AT_ONCE = 500;
/** An hour by the minute is asked for today and of yesterday. */
const MINUTES_KEPT_MS = 2 * 86_400_000;

interface Batch {
  readonly groups: Groups;
  readonly rows: number;
  readonly lastId: number;
  readonly hasMore: boolean;
}

export function createCounting({ db, clock, store, apiLogs, plans }: CountingDeps): Counting {
  async function read(scope: Scope, afterId: number): Promise<Batch> {
    const groups = new Groups();
    let lastId = afterId;
    let rows = 0;
    for (;;) {
      const tallied = await apiLogs.tally(scope, lastId, ROWS_AT_ONCE);
      let read = 0;
      for (const [at, alike] of tallied.entries()) {
        if (at > 0 && at % COUNTED_A_TURN === 0) await nextTurn();
        groups.add(alike);
        read += alike.calls;
        lastId = Math.max(lastId, alike.lastId);
      }
      rows += read;
      if (read < ROWS_AT_ONCE) return { groups, rows, lastId, hasMore: false };
      if (rows >= ROWS_A_COMMIT || groups.size >= GROUPS_A_COMMIT)
        return { groups, rows, lastId, hasMore: true };
    }
  }

  /**
   * Rollups and position commit together, so a row is counted once whatever dies when. False where somebody else has moved
   * the position, or is about to.
   */
  async function write(scope: Scope, afterId: number, batch: Batch, context: JobContext): Promise<boolean> {
    const written = await db.exclusively('log_rollups', async (tx) => {
      await context.fence(tx);
      if ((await store.position(scope, tx)) !== afterId) return false;
      for (const unit of UNITS) {
        const stored = await store.ofStarts(tx, scope, unit, batch.groups.startsOf(unit));
        await store.put(tx, scope, batch.groups.mergedInto(unit, stored));
      }
      await store.setPosition(tx, scope, batch.lastId);
      return true;
    });
    return written === true;
  }

  return {
    async count(context) {
      let left = context.batchMax;
      const isStopping = () => context.isStopping() || context.signal.aborted;
      const { rows, payload, isOver } = await apiLogs.walk({
        payload: context.payload,
        isStopping,
        async visit(scope) {
          let counted = 0;
          for (let hasMore = true; hasMore; ) {
            if (left <= 0 || isStopping()) return { rows: counted, isOver: false };
            const position = await store.position(scope);
            const batch = await read(scope, position);
            if (batch.rows > 0 && !(await write(scope, position, batch, context)))
              return { rows: counted, isOver: false };
            counted += batch.rows;
            left -= batch.rows;
            hasMore = batch.hasMore;
          }
          return { rows: counted, isOver: true };
        },
      });
      return { ...batchReport(rows, !isOver), payload };
    },

    async trim({ batchMax, payload, isStopping, signal }) {
      const nowMs = clock.nowMs();
      let after = typeof payload.after === 'string' ? (payload.after as TenantId) : null;
      let rows = 0;
      for (;;) {
        const tenantId = await store.nextTenant(after);
        if (tenantId === null) return { rows, payload: {} };
        const keptMs = await plans.logKeptMs(tenantId);
        for (const sandbox of [false, true]) {
          for (const unit of UNITS) {
            const unitKeptMs = unit === 'minute' ? Math.min(keptMs, MINUTES_KEPT_MS) : keptMs;
            for (let removed = 1; removed > 0; rows += removed) {
              if (rows >= batchMax || isStopping() || signal.aborted)
                return { ...batchReport(rows, true), payload: { ...(after && { after }) } };
              removed = await store.deleteOldest(
                { tenantId, sandbox },
                unit,
                nowMs - unitKeptMs,
                TRIMMED_AT_ONCE,
              );
            }
          }
        }
        after = tenantId;
      }
    },
  };
}
