import type { Migration } from '../../../platform/storage/migration.js';

export const tenantRewrapsMigration: Migration = {
  id: '0043-tenant-rewraps',
  file: 'main',
  // The newest pass of each tenant. Who works at it is in `jobs`, whose row ends with the work.
  statements: ({ text, integer }) => [
    `CREATE TABLE tenant_rewraps (
      tenant_id ${text} NOT NULL PRIMARY KEY,
      lease_id ${integer} NOT NULL,
      target_version ${integer} NOT NULL,
      status ${text} NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed')),
      cursor_step ${text},
      cursor_row ${text},
      rows_total ${integer},
      rows_done ${integer} NOT NULL,
      rows_failed ${integer} NOT NULL,
      sweep_done ${integer} NOT NULL,
      last_error ${text},
      issued_at ${integer} NOT NULL,
      started_at ${integer},
      finished_at ${integer}
    )`,
  ],
};
