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

export interface SealedAuditRow extends AuditRow {
  readonly sequenceNumber: number;
}

export interface EventFilter {
  readonly action?: ActionFilter | undefined;
  readonly actionPrefix?: string | undefined;
  readonly resourceType?: string | undefined;
}

/** Numbers of a tenant's chain, above `after` up to `upTo`. */
export interface EventWindow {
  readonly after: number;
  readonly upTo: number;
  readonly limit: number;
}

export type NewAuditRow = Omit<Record<keyof AuditTables['audit_logs'], Bindable>, 'tenant_id'>;

export interface AuditListFilter {
  readonly action?: ActionFilter | undefined;
  readonly resourceType?: string | undefined;
  readonly userId?: string | undefined;
  readonly sandbox?: boolean | undefined;
  /** Both inclusive. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
}

export type AuditListOptions = AuditListFilter & PageOptions;

/** Of code points the last one: every text that begins with a prefix stands before prefix and this. */
const LAST_CHARACTER = '\u{10ffff}';

const SHOWN_COLUMNS = [
  'id',
  'action',
  'resource_type',
  'resource_id',
  'details',
  'ip_address',
  'created_at',
] as const;

export function createAuditStore(db: Database) {
  const view = db.view(auditTables);

  function insertion(tenantId: TenantId, row: NewAuditRow): Insertion {
    return view.insertion('audit_logs', { tenantId }, row);
  }

  function filtered(tenantId: TenantId, filter: AuditListFilter) {
    let query = view.aside({ tenantId }).selectFrom('audit_logs');
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

    async insert(tx: Transaction, tenantId: TenantId, rows: readonly NewAuditRow[]): Promise<void> {
      await view
        .scoped({ tenantId }, tx)
        .insertInto('audit_logs')
        .values(rows as readonly (AuditTables['audit_logs'] & { tenant_id: undefined })[])
        .execute();
    },

    async list(tenantId: TenantId, options: AuditListOptions): Promise<AuditRow[]> {
      const rows = await filtered(tenantId, options)
        .select(SHOWN_COLUMNS)
        .orderBy('created_at', options.order)
        .orderBy('id', options.order)
        .limit(options.perPage)
        .offset(offsetOf(options.page, options.perPage))
        .execute();
      return rows.map(fromRow);
    },

    async count(tenantId: TenantId, filter: AuditListFilter): Promise<number> {
      const { total } = await filtered(tenantId, filter)
        .select((select) => select.fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    /** Sealed rows in the order of the chain. */
    async sealed(tenantId: TenantId, filter: EventFilter, window: EventWindow): Promise<SealedAuditRow[]> {
      let query = view
        .scoped({ tenantId })
        .selectFrom('audit_chain as c')
        .innerJoin('audit_logs as a', 'a.id', 'c.audit_id')
        .select('c.sequence_number')
        .select(SHOWN_COLUMNS.map((column) => `a.${column}` as const))
        .where('c.sequence_number', '>', window.after)
        .where('c.sequence_number', '<=', window.upTo)
        .orderBy('c.sequence_number')
        .limit(window.limit);
      if (filter.action) query = query.where(`a.${filter.action.column}`, 'in', [...filter.action.anyOf]);
      if (filter.actionPrefix !== undefined) {
        query = query
          .where('a.action', '>=', filter.actionPrefix)
          .where('a.action', '<', filter.actionPrefix + LAST_CHARACTER);
      }
      if (filter.resourceType !== undefined) query = query.where('a.resource_type', '=', filter.resourceType);
      const rows = await query.execute();
      return rows.map((row) => ({ ...fromRow(row), sequenceNumber: row.sequence_number }));
    },
  };
}

function fromRow(row: Pick<AuditTables['audit_logs'], (typeof SHOWN_COLUMNS)[number]>): AuditRow {
  return {
    id: row.id,
    action: row.action,
    resourceType: row.resource_type,
    resourceId: row.resource_id,
    details: JSON.parse(row.details) as Record<string, unknown>,
    ipAddress: row.ip_address,
    createdAtMs: row.created_at,
  };
}
