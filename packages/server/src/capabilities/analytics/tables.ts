import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { logRollupsMigration } from './migrations/0059-log-rollups.js';

interface LogRollupsTable extends TenantModeColumns {
  unit: string;
  /** When the minute, hour or day of UTC begins. */
  start: number;
  /** '' = none, `*` = one of those beyond the bound. */
  route_id: string;
  environment: string;
  client_id: string;
  proxy_mode: string;
  /** `Counts` as JSON (counts.ts). */
  counts: string;
}

interface LogRollupPositionsTable extends TenantModeColumns {
  /** Of the request log: rows up to it are counted, each once. */
  last_id: number;
}

export interface AnalyticsTables {
  log_rollups: LogRollupsTable;
  log_rollup_positions: LogRollupPositionsTable;
}

export const analyticsTables: TableSet<AnalyticsTables> = {
  log_rollups: { scope: 'tenant+mode' },
  log_rollup_positions: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [logRollupsMigration];
