import type { Clock } from '../../kernel/clock.js';
import type { TenantId } from '../../kernel/ids.js';
import type { Database } from '../../platform/storage/database.js';
import { createAccountsStore } from './store.js';

/** What is left to do for tenants that were deleted; for the job that does it. */
export interface DeletedTenants {
  /** The oldest first. */
  list(limit: number): Promise<{ readonly id: TenantId; readonly deletedAtMs: number }[]>;
  /** The end: when no row refers to the tenant any more. */
  forget(tenantId: TenantId): Promise<void>;
  /** Names that have been kept from others for long enough. */
  releaseSlugs(rowsMax: number): Promise<number>;
}

export function createDeletedTenants({
  db,
  clock,
}: {
  readonly db: Database;
  readonly clock: Clock;
}): DeletedTenants {
  const store = createAccountsStore(db);
  return {
    list: (limit) => store.listDeleted(limit),
    forget: (tenantId) => db.transaction((tx) => store.deleteRow(tx, tenantId)),
    releaseSlugs: (rowsMax) => db.transaction((tx) => store.forgetKeptSlugs(tx, clock.nowMs(), rowsMax)),
  };
}
