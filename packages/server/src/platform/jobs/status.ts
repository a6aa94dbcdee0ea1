import type { Database } from '../storage/database.js';
import { type JobState, type JobTables, jobTables } from './tables.js';

export interface JobKindStatus {
  readonly kind: string;
  readonly title: string;
  /** Null = on demand. */
  readonly everyMs: number | null;
  readonly waiting: number;
  readonly running: number;
  /** Given up: each waits for a "run now" or its retention. */
  readonly errored: number;
  readonly nextRunAtMs: number | null;
  readonly lastRun: LastRun | null;
}

export interface LastRun {
  readonly endedAtMs: number;
  /** Of the last success. */
  readonly durationMs: number | null;
  readonly rows: number | null;
  /** Null when the last run succeeded. */
  readonly error: string | null;
}

export interface JobStatus {
  readonly id: number;
  readonly kind: string;
  readonly state: JobState;
  readonly attempts: number;
  readonly runAtMs: number | null;
  readonly createdAtMs: number;
  readonly finishedAtMs: number | null;
  readonly error: string | null;
}

/** What operators see of background work. */
export function createJobStatus(db: Database) {
  const view = db.view<JobTables>(jobTables);
  const queries = view.system('jobs');

  async function lastRunOf(kind: string): Promise<LastRun | null> {
    const row = await queries
      .selectFrom('jobs')
      .select(['finished_at', 'last_report', 'last_error'])
      .where('kind', '=', kind)
      .where('finished_at', 'is not', null)
      .orderBy('finished_at', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (!row || row.finished_at === null) return null;
    const report = row.last_report && (JSON.parse(row.last_report) as { rows: number; duration_ms: number });
    return {
      endedAtMs: row.finished_at,
      durationMs: report ? report.duration_ms : null,
      rows: report ? report.rows : null,
      error: row.last_error,
    };
  }

  return {
    /** One entry for each kind that a process has ever registered, by name. */
    async kinds(): Promise<JobKindStatus[]> {
      const kinds = await queries.selectFrom('job_kinds').selectAll().orderBy('kind').execute();
      const open = await queries
        .selectFrom('jobs')
        .select(['kind', 'state'])
        .select((eb) => [eb.fn.countAll<number>().as('count'), eb.fn.min('run_at').as('next_run_at')])
        .where('run_at', 'is not', null)
        .groupBy(['kind', 'state'])
        .execute();
      const errored = await queries
        .selectFrom('jobs')
        .select('kind')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .where('state', '=', 'errored')
        .groupBy('kind')
        .execute();
      const all: JobKindStatus[] = [];
      for (const { kind, title, every_ms } of kinds) {
        const openOf = (state: JobState) => open.find((row) => row.kind === kind && row.state === state);
        all.push({
          kind,
          title,
          everyMs: every_ms,
          waiting: openOf('pending')?.count ?? 0,
          running: openOf('running')?.count ?? 0,
          errored: errored.find((row) => row.kind === kind)?.count ?? 0,
          nextRunAtMs: openOf('pending')?.next_run_at ?? null,
          lastRun: await lastRunOf(kind),
        });
      }
      return all;
    },

    /** The newest jobs of a kind. */
    async jobs(kind: string, limit: number): Promise<JobStatus[]> {
      const rows = await queries
        .selectFrom('jobs')
        .selectAll()
        .where('kind', '=', kind)
        .orderBy('id', 'desc')
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        id: row.id,
        kind: row.kind,
        state: row.state,
        attempts: row.attempts,
        runAtMs: row.run_at,
        createdAtMs: row.created_at,
        finishedAtMs: row.finished_at,
        error: row.last_error,
      }));
    },
  };
}
