import type { TenantId } from '../../kernel/ids.js';
import { offsetOf, type PageOptions } from '../../platform/http/pagination.js';
import type { Bindable, Database, Insertion, Transaction } from '../../platform/storage/database.js';
import type { ActionFilter } from './action-filter.js';
import { type AuditTables, auditTables } from './tables.js';

export interface AuditRow {
  readonly id: string;
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string | null;
  readonly details: Record<string, unknown>;
  readonly ipAddress: string | null;
  readonly createdAtMs: number;
}

export type NewAuditRow = Omit<Record<keyof AuditTables['audit_logs'], Bindable>, 'tenant_id'>;

export interface AuditListFilter extends PageOptions {
  readonly action?: ActionFilter | undefined;
  readonly resourceType?: string | undefined;
  readonly userId?: string | undefined;
  readonly sandbox?: boolean | undefined;
  /** Both inclusive. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
}

export function createAuditStore(db: Database) {
  const view = db.view(auditTables);

  function insertion(tenantId: TenantId, row: NewAuditRow): Insertion {
    return view.insertion('audit_logs', { tenantId }, row);
  }

  function filtered(tenantId: TenantId, filter: AuditListFilter) {
    let query = view.scoped({ tenantId }).selectFrom('audit_logs');
    if (filter.action) query = query.where(filter.action.column, 'in', [...filter.action.anyOf]);
    if (filter.resourceType !== undefined) query = query.where('resource_type', '=', filter.resourceType);
    if (filter.userId !== undefined) query = query.where('user_id', '=', filter.userId);
    if (filter.sandbox !== undefined) query = query.where('is_sandbox', '=', Number(filter.sandbox));
    if (filter.fromMs !== undefined) query = query.where('created_at', '>=', filter.fromMs);
    if (filter.toMs !== undefined) query = query.where('created_at', '<=', filter.toMs);
    return query;
  }

  return {
    insertion,

    async insert(tx: Transaction, tenantId: TenantId, row: NewAuditRow): Promise<void> {
      await view
        .scoped({ tenantId }, tx)
        .insertInto('audit_logs')
        .values(row as AuditTables['audit_logs'] & { tenant_id: undefined })
        .execute();
    },

    async list(tenantId: TenantId, filter: AuditListFilter): Promise<{ rows: AuditRow[]; total: number }> {
      const rows = await filtered(tenantId, filter)
        .select(['id', 'action', 'resource_type', 'resource_id', 'details', 'ip_address', 'created_at'])
        .orderBy('created_at', filter.order)
        .orderBy('id', filter.order)
        .limit(filter.perPage)
        .offset(offsetOf(filter.page, filter.perPage))
        .execute();
      const counted = await filtered(tenantId, filter)
        .select((select) => select.fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return {
        rows: rows.map((row) => ({
          id: row.id,
          action: row.action,
          resourceType: row.resource_type,
          resourceId: row.resource_id,
          details: JSON.parse(row.details) as Record<string, unknown>,
          ipAddress: row.ip_address,
          createdAtMs: row.created_at,
        })),
        total: counted.total,
      };
    },
  };
}
