import type { Generated } from 'kysely';
import type { TableSet } from '../storage/database.js';
import type { Migration } from '../storage/migration.js';
import { jobsMigration } from './migrations/0010-jobs.js';

/** `running` with a lease that has ended = its process died: the next worker takes it. */
export type JobState = 'pending' | 'running' | 'done' | 'errored';

export interface JobRow {
  id: Generated<number>;
  kind: string;
  /** At most one open job of a kind has it. */
  unique_key: string | null;
  payload: string;
  state: JobState;
  /** Null once the job is over. */
  run_at: number | null;
  /** 1 = asked for while it ran, so that one more run follows. */
  asked_again: number;
  /** Of the runs since the last success, the one under way included. */
  attempts: number;
  /** Another one for each claim: what a run writes is refused once the row has another owner. */
  lease_owner: string | null;
  lease_until: number | null;
  last_error: string | null;
  last_report: string | null;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
}

interface JobKindRow {
  kind: string;
  title: string;
  /** Null = on demand. */
  every_ms: number | null;
  registered_at: number;
}

export interface JobTables {
  jobs: JobRow;
  job_kinds: JobKindRow;
}

export const jobTables: TableSet<JobTables> = {
  jobs: { scope: 'system' },
  job_kinds: { scope: 'system' },
};

export const migrations: readonly Migration[] = [jobsMigration];
