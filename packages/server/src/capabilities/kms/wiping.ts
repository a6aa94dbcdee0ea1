import type { TenantId } from '../../kernel/ids.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { Database } from '../../platform/storage/database.js';
import { kmsTables } from './tables.js';
import { kmsGeneration } from './versions.js';

const TABLE = 'tenant_master_keys';

interface KeyWipingDeps {
  readonly db: Database;
  readonly generations: Pick<Generations, 'bump'>;
}

/**
 * The wrapped master keys of a tenant that is being deleted, overwritten and then gone: from here on nothing that was
 * sealed for it opens, whatever is still stored (kms-admin.md §3.6). Twice is as once.
 */
export function createKeyWiping({ db, generations }: KeyWipingDeps) {
  const view = db.view(kmsTables);
  return {
    async wipeAll(tenantId: TenantId): Promise<void> {
      await db.transaction(async (tx) => {
        const rows = await view
          .scoped({ tenantId }, tx)
          .selectFrom(TABLE)
          .select(['version', 'wrapped'])
          .where('wrapped', 'is not', null)
          .execute();
        for (const { version, wrapped } of rows)
          await view
            .scoped({ tenantId }, tx)
            .updateTable(TABLE)
            .set({ wrapped: Buffer.alloc(wrapped!.length) })
            .where('version', '=', version)
            .execute();
        if (rows.length === 0) return;
        await view
          .scoped({ tenantId }, tx)
          .updateTable(TABLE)
          .set({ wrapped: null, status: 'revoked' })
          .execute();
        // What is open in memory goes with it, in every process.
        await generations.bump(tx, kmsGeneration(tenantId));
      });
    },
    /** What the deleted rows were on disk; rejects while another process still reads it. */
    scrub: () => db.scrub(TABLE),
  };
}
