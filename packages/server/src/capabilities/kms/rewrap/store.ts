import type { Selectable } from 'kysely';
import type { TenantId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { kmsTables, type RewrapStatus, type TenantRewrapRow } from '../tables.js';

/** Where a sweep goes on. */
export interface Cursor {
  readonly step: string;
  readonly rowId: string;
}

/** What a pass has come to; the fields that its own runs write. */
export interface PassState {
  readonly status: RewrapStatus;
  /** Null = at the beginning of a sweep. */
  readonly cursor: Cursor | null;
  readonly rowsTotal: number | null;
  readonly rowsDone: number;
  readonly rowsFailed: number;
  /** Of the sweep under way. */
  readonly sweepDone: number;
  readonly lastError: string | null;
  readonly startedAtMs: number | null;
  readonly finishedAtMs: number | null;
}

export interface RewrapPass extends PassState {
  readonly leaseId: number;
  readonly targetVersion: number;
  readonly issuedAtMs: number;
}

export type RewrapStore = ReturnType<typeof createRewrapStore>;

export function createRewrapStore(db: Database) {
  const view = db.view(kmsTables);

  return {
    async find(tenantId: TenantId, tx?: Transaction): Promise<RewrapPass | undefined> {
      const row = await view
        .scoped({ tenantId }, tx)
        .selectFrom('tenant_rewraps')
        .selectAll()
        .executeTakeFirst();
      return row && passOf(row);
    },

    /** In the place of the tenant's former pass. */
    async put(tx: Transaction, tenantId: TenantId, pass: RewrapPass): Promise<void> {
      const columns = {
        lease_id: pass.leaseId,
        target_version: pass.targetVersion,
        issued_at: pass.issuedAtMs,
        ...columnsOf(pass),
      };
      await view
        .scoped({ tenantId }, tx)
        .insertInto('tenant_rewraps')
        .values(columns)
        .onConflict((conflict) => conflict.column('tenant_id').doUpdateSet(columns))
        .execute();
    },

    /** False where the pass has another target by now, or is another one: then nothing was written. */
    async save(
      tx: Transaction,
      tenantId: TenantId,
      { leaseId, targetVersion }: Pick<RewrapPass, 'leaseId' | 'targetVersion'>,
      state: PassState,
    ): Promise<boolean> {
      const rows = await view
        .scoped({ tenantId }, tx)
        .updateTable('tenant_rewraps')
        .set(columnsOf(state))
        .where('lease_id', '=', leaseId)
        .where('target_version', '=', targetVersion)
        .returning('lease_id')
        .execute();
      return rows.length > 0;
    },
  };
}

function columnsOf(state: PassState) {
  return {
    status: state.status,
    cursor_step: state.cursor?.step ?? null,
    cursor_row: state.cursor?.rowId ?? null,
    rows_total: state.rowsTotal,
    rows_done: state.rowsDone,
    rows_failed: state.rowsFailed,
    sweep_done: state.sweepDone,
    last_error: state.lastError,
    started_at: state.startedAtMs,
    finished_at: state.finishedAtMs,
  };
}

function passOf(row: Selectable<TenantRewrapRow>): RewrapPass {
  const { cursor_step, cursor_row } = row;
  return {
    leaseId: row.lease_id,
    targetVersion: row.target_version,
    status: row.status,
    cursor: cursor_step === null || cursor_row === null ? null : { step: cursor_step, rowId: cursor_row },
    rowsTotal: row.rows_total,
    rowsDone: row.rows_done,
    rowsFailed: row.rows_failed,
    sweepDone: row.sweep_done,
    lastError: row.last_error,
    issuedAtMs: row.issued_at,
    startedAtMs: row.started_at,
    finishedAtMs: row.finished_at,
  };
}
