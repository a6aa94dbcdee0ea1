import type { Migration } from '../../../platform/storage/migration.js';

/** Counts of the request log by minute, hour and day, and how far its rows are counted. */
export const logRollupsMigration: Migration = {
  id: '0059-log-rollups',
  file: 'main',
  statements: ({ text, integer }) => [
    // '' where a call has no route, environment or client: a key holds no null.
    `CREATE TABLE log_rollups (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      unit ${text} NOT NULL,
      start ${integer} NOT NULL,
      route_id ${text} NOT NULL,
      environment ${text} NOT NULL,
      client_id ${text} NOT NULL,
      proxy_mode ${text} NOT NULL,
      counts ${text} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, unit, start, route_id, environment, client_id, proxy_mode)
    )`,
    `CREATE TABLE log_rollup_positions (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      last_id ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox)
    )`,
  ],
};
