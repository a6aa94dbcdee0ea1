import type { TenantId } from '../../../kernel/ids.js';
import type { Database } from '../../../platform/storage/database.js';
import { auditTables } from '../tables.js';

/**
 * Rows of a tenant's log that are neither sealed nor queued, in one statement and so of one moment: a row comes, is sealed
 * and is trimmed together with its place.
 */
export function createOutsideCount(db: Database): (tenantId: TenantId) => Promise<number> {
  const view = db.view(auditTables);
  return async (tenantId) => {
    const { rows, first, last, queued } = await view
      .scoped({ tenantId })
      .selectFrom('audit_logs')
      .select(({ fn, selectFrom }) => [
        fn.countAll<number>().as('rows'),
        selectFrom('audit_chain')
          .select((q) => q.fn.min('sequence_number').as('first'))
          .as('first'),
        selectFrom('audit_chain')
          .select((q) => q.fn.max('sequence_number').as('last'))
          .as('last'),
        selectFrom('audit_unsealed as u')
          .innerJoin('audit_logs as q', (join) =>
            join.onRef('q.tenant_id', '=', 'u.tenant_id').onRef('q.id', '=', 'u.audit_id'),
          )
          .select((q) => q.fn.countAll<number>().as('queued'))
          .as('queued'),
      ])
      .executeTakeFirstOrThrow();
    const sealed = first === null || last === null ? 0 : last - first + 1;
    return rows - sealed - (queued ?? 0);
  };
}
