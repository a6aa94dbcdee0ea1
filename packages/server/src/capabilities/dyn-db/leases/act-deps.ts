import type { Clock } from '../../../kernel/clock.js';
import type { IdSource } from '../../../kernel/ids.js';
import type { Database } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import type { Databases } from '../connections/databases.js';
import type { ConnectionStore } from '../connections/store.js';
import type { LeaseClaims } from './claims.js';
import type { Ending } from './ending.js';
import type { LeaseStore } from './store.js';

/** What every act on a lease needs that a caller asks for. */
export interface LeaseActDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly databases: Pick<Databases, 'use'>;
  readonly connections: ConnectionStore;
  readonly leases: LeaseStore;
  readonly claims: LeaseClaims;
  readonly ending: Ending;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly isWorkerPaused: boolean;
  /** Leases are due that no timer knows of yet. */
  wakeWorker(): void;
}
