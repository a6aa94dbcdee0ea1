import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TenantId } from '../../../kernel/ids.js';
import type { Database } from '../../../platform/storage/database.js';
import { auditTables } from '../tables.js';

/** Read at once: on SQLite it is the event loop that reads. */
const BATCH_ROWS = 500;
/** Rows and places held while the other half has not been met; the log and the chain have nearly the same order. */
const UNMET_MAX = 2_000;

/** A row's place in the log's own order. */
interface RowPlace {
  readonly id: string;
  readonly createdAtMs: number;
}

/** The rows of the log that were never sealed and do not wait for it: nobody but an intruder writes them. */
export function createOutsideRows(db: Database) {
  const view = db.view(auditTables);

  async function newest(tenantId: TenantId): Promise<RowPlace | undefined> {
    const row = await view
      .scoped({ tenantId })
      .selectFrom('audit_logs')
      .select(['id', 'created_at'])
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row && { id: row.id, createdAtMs: row.created_at };
  }

  async function rowsAfter(
    tenantId: TenantId,
    after: RowPlace | undefined,
    upTo: RowPlace,
  ): Promise<RowPlace[]> {
    let query = view
      .scoped({ tenantId })
      .selectFrom('audit_logs')
      .select(['id', 'created_at'])
      .where(({ eb, refTuple, tuple }) =>
        eb(refTuple('created_at', 'id'), '<=', tuple(upTo.createdAtMs, upTo.id)),
      );
    if (after) {
      query = query.where(({ eb, refTuple, tuple }) =>
        eb(refTuple('created_at', 'id'), '>', tuple(after.createdAtMs, after.id)),
      );
    }
    const rows = await query.orderBy('created_at').orderBy('id').limit(BATCH_ROWS).execute();
    return rows.map((row) => ({ id: row.id, createdAtMs: row.created_at }));
  }

  function linksAfter(tenantId: TenantId, after: number) {
    return view
      .scoped({ tenantId })
      .selectFrom('audit_chain')
      .select(['sequence_number', 'audit_id'])
      .where('sequence_number', '>', after)
      .orderBy('sequence_number')
      .limit(BATCH_ROWS)
      .execute();
  }

  /**
   * In one statement and so of one moment: a row comes, is sealed and is trimmed in one transaction with its place. It
   * reads the tenant's whole chain, so it is asked only for rows that were not met.
   */
  async function oldestOutside(tenantId: TenantId, among: ReadonlySet<string>): Promise<string | null> {
    if (among.size === 0) return null;
    const ids = [...among];
    const row = await view
      .scoped({ tenantId })
      .selectFrom('audit_logs')
      .select('id')
      .where('id', 'in', ids)
      .where('id', 'not in', (q) =>
        q.selectFrom('audit_chain').select('audit_id').where('audit_id', 'in', ids),
      )
      .where('id', 'not in', (q) =>
        q.selectFrom('audit_unsealed').select('audit_id').where('audit_id', 'in', ids),
      )
      .orderBy('created_at')
      .orderBy('id')
      .limit(1)
      .executeTakeFirst();
    return row?.id ?? null;
  }

  return {
    /** The id of the oldest of a tenant's; null where there is none. Rows written after it began are not looked at. */
    async first(tenantId: TenantId): Promise<string | null> {
      const end = await newest(tenantId);
      if (!end) return null;
      const unmetRows = new Set<string>();
      const unmetLinks = new Set<string>();
      let row: RowPlace | undefined;
      let link = 0;
      for (;;) {
        // The rows first: a row that is there has its link, or gets it behind those that have been read.
        const rows = await rowsAfter(tenantId, row, end);
        const links = await linksAfter(tenantId, link);
        for (const { id } of rows) if (!unmetLinks.delete(id)) unmetRows.add(id);
        for (const { audit_id } of links) if (!unmetRows.delete(audit_id)) unmetLinks.add(audit_id);
        if (rows.length === 0 && (links.length === 0 || unmetRows.size === 0)) break;
        row = rows.at(-1) ?? row;
        link = links.at(-1)?.sequence_number ?? link;
        if (unmetRows.size > UNMET_MAX) {
          const found = await oldestOutside(tenantId, unmetRows);
          if (found !== null) return found;
          unmetRows.clear();
        }
        // Who was forgotten is asked for when its row comes.
        for (const id of unmetLinks) {
          if (unmetLinks.size <= UNMET_MAX) break;
          unmetLinks.delete(id);
        }
        await nextTurn();
      }
      return oldestOutside(tenantId, unmetRows);
    },

    /** Every tenant that has a row: one whose whole chain was removed has nothing else. */
    async listTenants(): Promise<TenantId[]> {
      const rows = await view
        .system('sealer')
        .selectFrom('audit_logs')
        .select('tenant_id')
        .distinct()
        .execute();
      return rows.map((row) => row.tenant_id);
    },
  };
}
