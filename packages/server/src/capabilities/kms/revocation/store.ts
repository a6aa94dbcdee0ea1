import type { TenantId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { kmsTables } from '../tables.js';

export function createRevocationStore(db: Database) {
  const view = db.view(kmsTables);

  return {
    /** Overwritten before they are let go of, so that no free page keeps them; the row stays as a mark (kms-admin.md §1.6). */
    async wipe(tx: Transaction, tenantId: TenantId, version: number, wrapped: Buffer): Promise<void> {
      for (const left of [Buffer.alloc(wrapped.length), null]) {
        await view
          .scoped({ tenantId }, tx)
          .updateTable('tenant_master_keys')
          .set({ wrapped: left, status: left === null ? 'revoked' : 'retired' })
          .where('version', '=', version)
          .execute();
      }
    },
  };
}
