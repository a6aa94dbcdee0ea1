// @ts-check
// Runs in SQLite's writer thread before each commit: what the transaction has added to the audit log is sealed in it
// (auth.md §8.2, "on SQLite the writer seals inside the batch"). Plain JavaScript, as the writer itself.
import { auditRowHash, NO_HASH } from './row-hash.mjs';

/** More than a batch of the group commit holds, so that rows of an earlier version do not keep newer ones waiting. */
const ROWS_MAX = 1_500;

/** @param {any} db */
export default function createCommitHook(db) {
  /** Prepared at the first commit: before it, the tables may not be there. @type {ReturnType<typeof prepare> | null} */
  let statements = null;

  return function beforeCommit() {
    statements ??= prepare(db);
    const { unsealed, headOf, seal, setHead, taken } = statements;
    const rows = unsealed.all(ROWS_MAX);
    if (rows.length === 0) return;
    /** @type {Map<string, { sequence_number: number, row_hash: Uint8Array }>} */
    const heads = new Map();
    for (const row of rows) {
      const { tenant_id } = row;
      const before = heads.get(tenant_id) ??
        headOf.get(tenant_id) ?? { sequence_number: 0, row_hash: NO_HASH };
      const sequence_number = before.sequence_number + 1;
      const row_hash = auditRowHash(before.row_hash, sequence_number, row);
      seal.run(tenant_id, sequence_number, row.id, before.row_hash, row_hash);
      heads.set(tenant_id, { sequence_number, row_hash });
    }
    for (const [tenantId, head] of heads) setHead.run(tenantId, head.sequence_number, head.row_hash);
    taken.run(rows[0].position, rows.at(-1).position);
  };
}

/** @param {any} db */
function prepare(db) {
  return {
    unsealed: db.prepare(
      `SELECT u.position, a.* FROM audit_unsealed u
       JOIN audit_logs a ON a.tenant_id = u.tenant_id AND a.id = u.audit_id ORDER BY u.position LIMIT ?`,
    ),
    headOf: db.prepare('SELECT sequence_number, row_hash FROM audit_chain_heads WHERE tenant_id = ?'),
    seal: db.prepare(
      'INSERT INTO audit_chain (tenant_id, sequence_number, audit_id, prev_hash, row_hash) VALUES (?, ?, ?, ?, ?)',
    ),
    setHead: db.prepare(
      `INSERT INTO audit_chain_heads (tenant_id, sequence_number, row_hash, checkpoint_sequence, checkpoint_at)
       VALUES (?, ?, ?, 0, 0) ON CONFLICT (tenant_id)
       DO UPDATE SET sequence_number = excluded.sequence_number, row_hash = excluded.row_hash`,
    ),
    taken: db.prepare('DELETE FROM audit_unsealed WHERE position BETWEEN ? AND ?'),
  };
}
