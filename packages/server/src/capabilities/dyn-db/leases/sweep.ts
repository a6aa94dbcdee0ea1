import type { Clock } from '../../../kernel/clock.js';
import type { JobContext, JobReport } from '../../../platform/jobs/definition.js';
import type { Jobs } from '../../../platform/jobs/jobs.js';
import type { Database } from '../../../platform/storage/database.js';
import type { ConnectionPlace, LeaseClaims, LeaseCounts } from './claims.js';

export const LEASE_JOB = 'dyn_db_lease';
export const SWEEP_JOB = 'dyn_db_lease_sweep';
export const SWEEP_MS = 15_000;
/** Leases that fall due within it are found by one sweep. */
const PAUSE_MS = 250;
/** Past its end for longer than the contract allows on an idle server (dyn-db.md §4). */
const LATE_MS = 2_000;
/** Of one sweep, which goes through all that is due: those that cannot be ended stay due, and must hide no others. */
const PAGES_MAX = 100;

export interface LeaseSweepDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly clock: Clock;
  readonly jobs: Pick<Jobs, 'enqueue'>;
  readonly claims: Pick<LeaseClaims, 'dueConnections' | 'nextDueAtMs' | 'counts'>;
  readonly isWorkerPaused: boolean;
  onCounts(counts: LeaseCounts): void;
}

/**
 * Finds where leases are due and has each connection's worked off by a job of its own. It runs again when the next lease
 * falls due, and after 15 s at the latest: whatever was lost on the way is found then.
 */
export function createLeaseSweep({ db, clock, jobs, claims, isWorkerPaused, onCounts }: LeaseSweepDeps) {
  let countedAtMs = Number.NEGATIVE_INFINITY;

  /** It reads all that live: no oftener than an idle server sweeps. */
  async function count(nowMs: number): Promise<void> {
    if (nowMs - countedAtMs < SWEEP_MS) return;
    countedAtMs = nowMs;
    onCounts(await claims.counts(nowMs, nowMs - LATE_MS));
  }

  async function enqueueAll(places: readonly ConnectionPlace[]): Promise<void> {
    if (places.length === 0) return;
    await db.transaction(async (tx) => {
      for (const { scope, connectionId } of places) {
        const payload = {
          tenant_id: scope.tenantId,
          sandbox: scope.sandbox,
          connection_id: connectionId,
        };
        await jobs.enqueue(tx, LEASE_JOB, payload, { key: connectionId });
      }
    });
  }

  return async function sweep({ batchMax }: Pick<JobContext, 'batchMax'>): Promise<JobReport> {
    const nowMs = clock.nowMs();
    // What waits meanwhile is to be seen.
    if (isWorkerPaused) {
      await count(nowMs);
      return { rows: 0, details: { paused: true } };
    }
    let rows = 0;
    for (let places: ConnectionPlace[] = [], page = 0; page < PAGES_MAX; page += 1) {
      places = await claims.dueConnections(nowMs, batchMax, places.at(-1)?.connectionId);
      await enqueueAll(places);
      rows += places.length;
      if (places.length < batchMax) break;
    }
    await count(nowMs);
    const nextAtMs = await claims.nextDueAtMs(nowMs);
    const waitMs = nextAtMs === null ? SWEEP_MS : nextAtMs - clock.nowMs();
    return { rows, againInMs: Math.min(Math.max(waitMs, PAUSE_MS), SWEEP_MS) };
  };
}
