import type { Clock } from '../../kernel/clock.js';
import type { TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database } from '../../platform/storage/database.js';
import { createTenantRows, type TenantTable } from '../../platform/storage/tenant-rows.js';
import { createDeletedTenants } from '../accounts/index.js';
import type { DynDb } from '../dyn-db/index.js';
import { createKeyWiping } from '../kms/index.js';

export interface TenantRemovalDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  readonly generations: Pick<Generations, 'bump'>;
  readonly dynDb: Pick<DynDb, 'endAllOf'>;
  /** Every table with a `tenant_id`, those that refer to others first. */
  readonly tables: readonly TenantTable[];
}

export interface TenantRemoval {
  /** One step; how many rows went, and whether there is more that need not wait. */
  step(rowsMax: number): Promise<{ readonly rows: number; readonly hasMore: boolean }>;
}

const TENANTS_AT_ONCE = 20;
/** Longer than any call lasts that was let in before the deletion. */
const CALLS_ENDED_MS = LIMITS.requestMs;

export function createTenantRemoval({
  db,
  clock,
  logger,
  generations,
  dynDb,
  tables,
}: TenantRemovalDeps): TenantRemoval {
  const deleted = createDeletedTenants({ db, clock });
  const rows = createTenantRows(db, tables);
  const keys = createKeyWiping({ db, generations });

  /** Whether its keys are needed no more. */
  async function leasesEnded(id: TenantId, ageMs: number): Promise<boolean> {
    const live = await dynDb.endAllOf(id);
    if (live === null) return false;
    if (live === 0) return true;
    if (ageMs < LIMITS.leasesOfDeletedTenantMs) return false;
    logger.warn(
      { tenant_id: id, leases: live },
      'a tenant is removed whose database users could not be dropped',
    );
    return true;
  }

  return {
    async step(rowsMax) {
      const released = await deleted.releaseSlugs(rowsMax);
      for (const { id, deletedAtMs } of await deleted.list(TENANTS_AT_ONCE)) {
        const ageMs = clock.nowMs() - deletedAtMs;
        if (!(await leasesEnded(id, ageMs)) || ageMs < CALLS_ENDED_MS) continue;
        await keys.wipeAll(id);
        const removed = await rows.remove(id, rowsMax);
        if (removed > 0) return { rows: removed, hasMore: true };
        await keys.scrub();
        await deleted.forget(id);
        logger.info({ tenant_id: id }, 'a deleted tenant is removed');
        return { rows: 1, hasMore: true };
      }
      return { rows: released, hasMore: released === rowsMax };
    },
  };
}
