import type { Scope } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { egressAllowlistTables } from './tables.js';

export function createEgressAllowlistStore(db: Database) {
  const view = db.view(egressAllowlistTables);

  return {
    /** Empty where none was ever written. */
    async hosts(scope: Scope, tx?: Transaction): Promise<readonly string[]> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('egress_allowlists')
        .select('hosts')
        .executeTakeFirst();
      return row ? (JSON.parse(row.hosts) as string[]) : [];
    },

    async replace(tx: Transaction, scope: Scope, hosts: readonly string[], nowMs: number): Promise<void> {
      const values = { hosts: JSON.stringify(hosts), updated_at: nowMs };
      await view
        .scoped(scope, tx)
        .insertInto('egress_allowlists')
        .values(values)
        .onConflict((conflict) => conflict.columns(['tenant_id', 'sandbox']).doUpdateSet(values))
        .execute();
    },
  };
}
