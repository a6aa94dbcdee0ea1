import type { Selectable } from 'kysely';
import type { Scope } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { apiLogTables, type LogAnchorRow } from '../tables.js';

export interface LogAnchor {
  readonly id: string;
  /** Its place in the critical audit chain, and the hash of its row there. */
  readonly sequenceNumber: number;
  readonly chainRowHash: Buffer;
  readonly anchoredAtMs: number;
  readonly algo: string;
  readonly merkleRoot: Buffer;
  readonly leafCount: number;
  /** Numbers of rows, both inclusive. */
  readonly fromId: number;
  readonly toId: number;
}

export type LogAnchorStore = ReturnType<typeof createLogAnchorStore>;

export function createLogAnchorStore(db: Database) {
  const view = db.view(apiLogTables);

  return {
    async last(scope: Scope, tx?: Transaction): Promise<LogAnchor | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('log_anchors')
        .selectAll()
        .orderBy('from_id', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row && fromRow(row);
    },

    /** That whose range the number is in. */
    async holding(scope: Scope, logId: number): Promise<LogAnchor | undefined> {
      const row = await view
        .scoped(scope)
        .selectFrom('log_anchors')
        .selectAll()
        .where('from_id', '<=', logId)
        .orderBy('from_id', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row && row.to_id >= logId ? fromRow(row) : undefined;
    },

    async insert(tx: Transaction, scope: Scope, anchor: LogAnchor): Promise<void> {
      const row = {
        id: anchor.id,
        sequence_number: anchor.sequenceNumber,
        anchored_at: anchor.anchoredAtMs,
        algo: anchor.algo,
        merkle_root: anchor.merkleRoot,
        leaf_count: anchor.leafCount,
        from_id: anchor.fromId,
        to_id: anchor.toId,
        chain_row_hash: anchor.chainRowHash,
      };
      await view.scoped(scope, tx).insertInto('log_anchors').values(row).execute();
    },

    /** Up to `limit` of those whose range ends before that number; how many. */
    async deleteBefore(scope: Scope, logId: number, limit: number): Promise<number> {
      const gone = await view
        .scoped(scope)
        .deleteFrom('log_anchors')
        .where('from_id', 'in', (eb) =>
          eb
            .selectFrom('log_anchors')
            .select('from_id')
            .where('to_id', '<', logId)
            .orderBy('from_id')
            .limit(limit),
        )
        .returning('id')
        .execute();
      return gone.length;
    },
  };
}

function fromRow(row: Selectable<LogAnchorRow>): LogAnchor {
  return {
    id: row.id,
    sequenceNumber: row.sequence_number,
    chainRowHash: row.chain_row_hash,
    anchoredAtMs: row.anchored_at,
    algo: row.algo,
    merkleRoot: row.merkle_root,
    leafCount: row.leaf_count,
    fromId: row.from_id,
    toId: row.to_id,
  };
}
