import type { TenantId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { webhookTables } from '../tables.js';

/** How far the audit chain of a tenant was read. */
export interface AuditMark {
  readonly tenantId: TenantId;
  readonly sequenceNumber: number;
}

export type AuditMarkStore = ReturnType<typeof createAuditMarkStore>;

/** A tenant has a mark while one of its webhooks wants audit rows. */
export function createAuditMarkStore(db: Database) {
  const view = db.view(webhookTables);

  return {
    /** One that is there stays. */
    async add(tx: Transaction, { tenantId, sequenceNumber }: AuditMark): Promise<void> {
      await view
        .scoped({ tenantId }, tx)
        .insertInto('webhook_audit_marks')
        .values({ sequence_number: sequenceNumber })
        .onConflict((conflict) => conflict.column('tenant_id').doNothing())
        .execute();
    },

    async set(tx: Transaction, { tenantId, sequenceNumber }: AuditMark): Promise<void> {
      await view
        .scoped({ tenantId }, tx)
        .updateTable('webhook_audit_marks')
        .set({ sequence_number: sequenceNumber })
        .execute();
    },

    async remove(tx: Transaction, tenantId: TenantId): Promise<void> {
      await view.scoped({ tenantId }, tx).deleteFrom('webhook_audit_marks').execute();
    },

    /** Of all tenants, in the order of their ids, behind that one. */
    async list(after: string, limit: number): Promise<AuditMark[]> {
      const rows = await view
        .system('webhooks')
        .selectFrom('webhook_audit_marks')
        .selectAll()
        .where('tenant_id', '>', after as TenantId)
        .orderBy('tenant_id')
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        tenantId: row.tenant_id as TenantId,
        sequenceNumber: row.sequence_number,
      }));
    },
  };
}
