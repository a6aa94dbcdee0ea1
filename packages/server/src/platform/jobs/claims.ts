import type { ExpressionBuilder, SelectQueryBuilder } from 'kysely';
import type { Clock } from '../../kernel/clock.js';
import { sha256Hex } from '../crypto/hashing.js';
import type { Arg, Database, DefinedQuery, ScopedQueries, Transaction } from '../storage/database.js';
import { type JobPayload, LeaseLost } from './definition.js';
import { askAgain, RECURRING_KEY } from './queue.js';
import { type JobState, type JobTables, jobTables } from './tables.js';

const CLAIMED = ['id', 'kind', 'payload', 'attempts'] as const;

export interface Claim {
  readonly id: number;
  readonly kind: string;
  readonly payload: JobPayload;
  readonly attempts: number;
  readonly owner: string;
}

/** How a job goes on after a run. `runAtMs` null = it is over. */
export interface Settlement {
  readonly state: JobState;
  readonly runAtMs: number | null;
  readonly attempts: number;
  readonly error: string | null;
  /** Absent = the report of the former run stays. */
  readonly report?: string;
  /** Absent = the payload stays. */
  readonly payload?: string;
}

export interface ClaimOptions {
  readonly owner: string;
  readonly leaseMs: number;
}

export type JobClaims = ReturnType<typeof createJobClaims>;

/** Who runs which job. A write on a claimed job names its owner: with another owner it changes nothing. */
export function createJobClaims({ db, clock }: { db: Database; clock: Clock }) {
  const view = db.view<JobTables>(jobTables);

  const claimDue = view.defineSystem<ClaimArgs, ClaimedRow>('jobs_claim_due', 'jobs', (queries, arg) =>
    claiming(queries, arg, (job) => job.where('run_at', '<=', arg('now'))),
  );
  // One that waits after a failure keeps its delay, or each wake would hammer what has failed.
  const claimWoken = view.defineSystem<ClaimArgs, ClaimedRow>('jobs_claim_woken', 'jobs', (queries, arg) =>
    claiming(queries, arg, (job) => job.where('unique_key', '=', RECURRING_KEY).where('attempts', '=', 0)),
  );

  const renewLease = view.defineSystem<{ id: number; owner: string; lease_until: number }, { id: number }>(
    'jobs_renew',
    'jobs',
    (queries, arg) =>
      queries
        .updateTable('jobs')
        .set({ lease_until: arg('lease_until') })
        .where('id', '=', arg('id'))
        .where('lease_owner', '=', arg('owner'))
        .returning('id'),
  );

  async function claimBy(
    query: DefinedQuery<null, ClaimArgs, ClaimedRow>,
    kind: string,
    { owner, leaseMs }: ClaimOptions,
  ): Promise<Claim | undefined> {
    const now = clock.nowMs();
    const row = await query.first(null, { kind, owner, now, lease_until: now + leaseMs });
    return row && { ...row, owner, payload: JSON.parse(row.payload) as JobPayload };
  }

  function owned(claim: Claim) {
    return view
      .system('jobs')
      .updateTable('jobs')
      .where('id', '=', claim.id)
      .where('lease_owner', '=', claim.owner);
  }

  return {
    /**
     * Asks when each kind may next be claimed; kinds without an open, unclaimed job are absent. One query, compiled
     * here and not at each poll, which would hold the event loop for a millisecond or two.
     */
    defineNextRuns(kinds: readonly string[]): () => Promise<{ kind: string; runAtMs: number }[]> {
      if (kinds.length === 0) return async () => [];
      const name = `jobs_next_runs_${sha256Hex(kinds.join()).slice(0, 16)}`;
      const nextRuns = view.defineSystem<{ now: number }, { kind: string; run_at: number }>(
        name,
        'jobs',
        (queries, arg) =>
          kinds
            .map((kind) =>
              queries
                .selectFrom((eb) =>
                  eb
                    .selectFrom('jobs')
                    .select(['kind', 'run_at'])
                    .where('kind', '=', kind)
                    .where('run_at', 'is not', null)
                    .where(isUnclaimed(arg('now')))
                    .orderBy('run_at')
                    .limit(1)
                    .$narrowType<{ run_at: number }>()
                    .as('next'),
                )
                .selectAll(),
            )
            .reduce((all, one) => all.unionAll(one)),
      );
      return async () => {
        const rows = await nextRuns.all(null, { now: clock.nowMs() });
        return rows.map((row) => ({ kind: row.kind, runAtMs: row.run_at }));
      };
    },

    /** The job of the kind that has waited longest: due, and not under a lease that still holds. */
    claim: (kind: string, options: ClaimOptions) => claimBy(claimDue, kind, options),

    /** The one job of a recurring kind before its time. */
    claimWoken: (kind: string, options: ClaimOptions) => claimBy(claimWoken, kind, options),

    /** Asks who runs the kind's one job to run it once more; false when nobody does. */
    askAgain: (kind: string) => askAgain(view.system('jobs'), kind, clock.nowMs()),

    /** False when another worker has the job by now. */
    async renew({ id, owner }: Claim, leaseMs: number): Promise<boolean> {
      return (
        (await renewLease.first(null, { id, owner, lease_until: clock.nowMs() + leaseMs })) !== undefined
      );
    },

    async fence(tx: Transaction, { id, owner }: Claim): Promise<void> {
      await tx.lock('jobs', String(id));
      const row = await view
        .system('jobs', tx)
        .selectFrom('jobs')
        .select('lease_owner')
        .where('id', '=', id)
        .executeTakeFirst();
      if (row?.lease_owner !== owner) throw new LeaseLost(`job ${id} has another owner`);
    },

    /** Writes the result; false when another worker has the job by now, and nothing was written. */
    async settle(claim: Claim, settlement: Settlement): Promise<boolean> {
      const nowMs = clock.nowMs();
      const result = {
        last_error: settlement.error,
        ...(settlement.report === undefined ? {} : { last_report: settlement.report }),
        ...(settlement.payload === undefined ? {} : { payload: settlement.payload }),
        finished_at: nowMs,
        lease_owner: null,
        lease_until: null,
        asked_again: 0,
      };
      const settled = await owned(claim)
        .set({
          ...result,
          state: settlement.state,
          run_at: settlement.runAtMs,
          attempts: settlement.attempts,
        })
        .where('asked_again', '=', 0)
        .returning('id')
        .execute();
      if (settled.length > 0) return true;
      // A failure keeps its delay, whoever asks.
      const runAtMs = settlement.state === 'pending' && settlement.error ? settlement.runAtMs : nowMs;
      const attempts = settlement.state === 'pending' ? settlement.attempts : 0;
      const again = await owned(claim)
        .set({ ...result, state: 'pending', run_at: runAtMs, attempts })
        .returning('id')
        .execute();
      return again.length > 0;
    },

    /** As if it had not been claimed: what was under way when the process left is no failure. */
    async giveBack(claim: Claim): Promise<void> {
      await owned(claim)
        .set({ state: 'pending', attempts: claim.attempts - 1, lease_owner: null, lease_until: null })
        .execute();
    },
  };
}

type ClaimArgs = { kind: string; owner: string; now: number; lease_until: number };

/**
 * Marks one job of those that `narrowed` leaves. By `=` and not by `in`: PostgreSQL may run a subquery of `in` more
 * than once, and then lock more rows than its limit.
 */
function claiming(
  queries: ScopedQueries<JobTables>,
  arg: Arg<ClaimArgs>,
  narrowed: (jobs: OpenJobs) => OpenJobs,
) {
  return queries
    .updateTable('jobs')
    .set((eb) => ({
      state: 'running' as const,
      // A job woken before its time is due from now on, also for who takes it up when this process dies.
      run_at: arg('now'),
      attempts: eb('attempts', '+', 1),
      lease_owner: arg('owner'),
      lease_until: arg('lease_until'),
      started_at: arg('now'),
    }))
    .where('id', '=', (eb) =>
      narrowed(
        eb
          .selectFrom('jobs')
          .select('id')
          .where('kind', '=', arg('kind'))
          .where('run_at', 'is not', null)
          .where(isUnclaimed(arg('now'))),
      )
        .orderBy('run_at')
        .orderBy('id')
        .limit(1)
        .forUpdate()
        .skipLocked(),
    )
    .returning(CLAIMED);
}

function isUnclaimed(nowMs: number) {
  return (eb: ExpressionBuilder<JobTables, 'jobs'>) =>
    eb.or([eb('lease_until', 'is', null), eb('lease_until', '<=', nowMs)]);
}

type OpenJobs = SelectQueryBuilder<JobTables, 'jobs', { id: number }>;

interface ClaimedRow {
  readonly id: number;
  readonly kind: string;
  readonly payload: string;
  readonly attempts: number;
}
