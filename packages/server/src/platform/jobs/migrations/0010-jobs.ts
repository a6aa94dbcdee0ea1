import type { Migration } from '../../storage/migration.js';

/** `run_at` is null once a job is over, so that both partial indexes hold open jobs only. */
export const jobsMigration: Migration = {
  id: '0010-jobs',
  file: 'main',
  statements: ({ text, integer, rowId }) => [
    `CREATE TABLE job_kinds (
      kind ${text} NOT NULL PRIMARY KEY,
      title ${text} NOT NULL,
      every_ms ${integer},
      registered_at ${integer} NOT NULL
    )`,
    `CREATE TABLE jobs (
      id ${rowId},
      kind ${text} NOT NULL,
      unique_key ${text},
      payload ${text} NOT NULL,
      state ${text} NOT NULL,
      run_at ${integer},
      asked_again ${integer} NOT NULL,
      attempts ${integer} NOT NULL,
      lease_owner ${text},
      lease_until ${integer},
      last_error ${text},
      last_report ${text},
      created_at ${integer} NOT NULL,
      started_at ${integer},
      finished_at ${integer}
    )`,
    'CREATE INDEX jobs_open ON jobs (kind, run_at, id) WHERE run_at IS NOT NULL',
    'CREATE UNIQUE INDEX jobs_unique_key ON jobs (kind, unique_key) WHERE run_at IS NOT NULL',
    'CREATE INDEX jobs_finished ON jobs (kind, finished_at)',
    'CREATE INDEX jobs_state ON jobs (state, finished_at)',
  ],
};
