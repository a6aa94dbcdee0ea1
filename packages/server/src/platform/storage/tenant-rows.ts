import { assert } from '../../kernel/assert.js';
import type { TenantId } from '../../kernel/ids.js';
import type { Database, TableDeclaration } from './database.js';

/** A table with `tenant_id`, as its capability declares it. */
export interface TenantTable extends TableDeclaration {
  readonly name: string;
  /** A column that tells rows apart, so that they go in batches; null where a tenant has few. */
  readonly key: string | null;
}

type AnyTables = Record<string, Record<string, unknown> & { tenant_id: TenantId }>;

/** Removes what a tenant has left, statement by statement: each is bounded, and begun again it goes on. */
export function createTenantRows(db: Database, tables: readonly TenantTable[]) {
  const declarations: Record<string, TableDeclaration> = Object.fromEntries(
    tables.map(({ name, scope, file = 'main' }) => [name, { scope, file }]),
  );
  const view = db.view<AnyTables>(declarations);

  async function removeFrom({ name, key }: TenantTable, tenantId: TenantId, limit: number): Promise<number> {
    // Whatever the scope of the table is: here the tenant counts, and both of its modes.
    const queries = view.system('tenant_removal');
    let doomed = queries.deleteFrom(name).where('tenant_id', '=', tenantId);
    if (key !== null) {
      const batch = queries.selectFrom(name).select(key).where('tenant_id', '=', tenantId).distinct();
      doomed = doomed.where(key, 'in', batch.limit(limit));
    }
    const [result] = await doomed.execute();
    assert(result, 'a statement has a result');
    return Number(result.numDeletedRows);
  }

  return {
    /** In the order of the list: what refers to others comes before them. How many are gone, 0 = all were. */
    async remove(tenantId: TenantId, rowsMax: number): Promise<number> {
      let removed = 0;
      for (const table of tables) {
        for (;;) {
          const count = await removeFrom(table, tenantId, rowsMax);
          removed += count;
          if (removed >= rowsMax) return removed;
          if (count === 0 || table.key === null) break;
        }
      }
      return removed;
    },
  };
}
