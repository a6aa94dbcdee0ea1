// @ts-check
// Runs in SQLite's writer thread before each commit: the audit rows of the transaction are sealed in it (auth.md §8.2,
// "on SQLite the writer seals inside the batch"). Plain JavaScript, as the writer itself.
import { auditRowHash, NO_HASH } from './row-hash.mjs';

/** Queued rows sealed in one commit: those of an earlier version, and those whose sealing has failed. */
const QUEUED_MAX = 1_500;

/** By one statement: each run of a statement costs about as much as three rows within it. */
const ROWS_AT_ONCE = 8;

/** @typedef {Readonly<Record<string, any>>} Row */

/** @param {any} db */
export default function createCommitHook(db) {
  /** Prepared at the first commit: before it, the tables may not be there. @type {ReturnType<typeof prepare> | null} */
  let statements = null;
  let mayHaveQueued = true;

  function prepared() {
    statements ??= prepare(db);
    return statements;
  }

  /** @param {readonly Row[]} rows */
  function seal(rows) {
    const { headOf, setHead } = prepared();
    /** @type {Map<string, { sequence_number: number, row_hash: Uint8Array }>} */
    const heads = new Map();
    /** @type {unknown[][]} */
    const links = [];
    for (const row of rows) {
      const { tenant_id } = row;
      const before = heads.get(tenant_id) ??
        headOf.get(tenant_id) ?? { sequence_number: 0, row_hash: NO_HASH };
      const sequence_number = before.sequence_number + 1;
      const row_hash = auditRowHash(before.row_hash, sequence_number, /** @type {any} */ (row));
      links.push([tenant_id, sequence_number, row['id'], before.row_hash, row_hash]);
      heads.set(tenant_id, { sequence_number, row_hash });
    }
    append(links);
    for (const [tenantId, head] of heads) setHead.run(tenantId, head.sequence_number, head.row_hash);
  }

  /** @param {unknown[][]} links */
  function append(links) {
    const { appendOne, appendSeveral } = prepared();
    let at = 0;
    for (; at + ROWS_AT_ONCE <= links.length; at += ROWS_AT_ONCE)
      appendSeveral.run(...links.slice(at, at + ROWS_AT_ONCE).flat());
    for (const link of links.slice(at)) appendOne.run(...link);
  }

  /** The queue keeps the order: what was in it before comes first. @param {readonly Row[]} rows */
  function queue(rows) {
    const { enqueue } = prepared();
    for (const row of rows) enqueue.run(row['tenant_id'], row['id']);
    mayHaveQueued = true;
  }

  function sealQueued() {
    const { queued, taken } = prepared();
    const rows = queued.all(QUEUED_MAX);
    seal(rows);
    for (const { position } of rows) taken.run(position);
    mayHaveQueued = rows.length === QUEUED_MAX;
  }

  return {
    table: 'audit_logs',
    /** @param {readonly Row[]} rows */
    isDue: (rows) => rows.length > 0 || mayHaveQueued,
    /** @param {readonly Row[]} rows */
    beforeCommit(rows) {
      if (!mayHaveQueued) return seal(rows);
      queue(rows);
      sealQueued();
    },
    /** Where `beforeCommit` has failed and was undone, or is not tried. */
    defer: queue,
  };
}

/** @param {any} db */
function prepare(db) {
  /** @param {number} rows */
  const appending = (rows) =>
    db.prepare(
      `INSERT INTO audit_chain (tenant_id, sequence_number, audit_id, prev_hash, row_hash)
       VALUES ${Array(rows).fill('(?, ?, ?, ?, ?)').join(', ')}`,
    );
  return {
    headOf: db.prepare('SELECT sequence_number, row_hash FROM audit_chain_heads WHERE tenant_id = ?'),
    appendOne: appending(1),
    appendSeveral: appending(ROWS_AT_ONCE),
    setHead: db.prepare(
      `INSERT INTO audit_chain_heads (tenant_id, sequence_number, row_hash, checkpoint_sequence, checkpoint_at)
       VALUES (?, ?, ?, 0, 0) ON CONFLICT (tenant_id)
       DO UPDATE SET sequence_number = excluded.sequence_number, row_hash = excluded.row_hash`,
    ),
    enqueue: db.prepare('INSERT INTO audit_unsealed (tenant_id, audit_id) VALUES (?, ?)'),
    queued: db.prepare(
      `SELECT u.position, a.* FROM audit_unsealed u
       JOIN audit_logs a ON a.tenant_id = u.tenant_id AND a.id = u.audit_id ORDER BY u.position LIMIT ?`,
    ),
    taken: db.prepare('DELETE FROM audit_unsealed WHERE position = ?'),
  };
}
