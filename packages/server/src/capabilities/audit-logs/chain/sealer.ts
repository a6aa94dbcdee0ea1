import type { TenantId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { auditRowHash } from './row-hash.mjs';
import { type ChainPlace, type ChainStore, START } from './store.js';

/** Rows of one pass: what fits into a fraction of a transaction's time. */
export const SEAL_ROWS_MAX = 500;

/**
 * Gives committed rows their numbers and hashes, tenant by tenant without a gap. On PostgreSQL one process at a time;
 * on SQLite the writer has done it before the commit, and what an earlier version has left is taken along in the same
 * way. Returns how many were sealed; less than the limit when none is left, or when another process is at it.
 */
export async function sealPending(
  db: Database,
  store: ChainStore,
  limit: number = SEAL_ROWS_MAX,
): Promise<number> {
  if (db.dialect === 'postgres') {
    return (await db.exclusively('audit sealer', (tx) => sealIn(tx, store, limit))) ?? 0;
  }
  const before = await db.transaction((tx) => store.countAllUnsealed(tx));
  return before - (await db.transaction((tx) => store.countAllUnsealed(tx)));
}

async function sealIn(tx: Transaction, store: ChainStore, limit: number): Promise<number> {
  const rows = await store.listUnsealed(tx, limit);
  if (rows.length === 0) return 0;
  const tenantIds = [...new Set(rows.map((row) => row.tenant_id))];
  const known = await store.headsOf(tenantIds, tx);
  const heads = new Map<TenantId, ChainPlace>();
  const sealed = rows.map((row) => {
    const tenantId = row.tenant_id;
    const before = heads.get(tenantId) ?? known.get(tenantId) ?? START;
    const sequenceNumber = before.sequenceNumber + 1;
    const rowHash = auditRowHash(before.rowHash, sequenceNumber, row);
    heads.set(tenantId, { sequenceNumber, rowHash });
    return { tenantId, auditId: row.id, sequenceNumber, prevHash: before.rowHash, rowHash };
  });
  await store.append(
    tx,
    sealed,
    heads,
    rows.map((row) => row.position),
  );
  return rows.length;
}
