import type { Clock } from '../../../kernel/clock.js';
import type { IdSource, Scope } from '../../../kernel/ids.js';
import type { JobContext, JobReport } from '../../../platform/jobs/definition.js';
import { type Database, UniqueViolation } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import type { ApiLogs } from '../service.js';
import { anchorEntry } from './audit.js';
import { ALGO, hashLeaves } from './leaf.js';
import { createProofs, type Proof } from './proof.js';
import { createLogAnchorStore, type LogAnchor } from './store.js';
import { createGrowingTree, type GrowingTree } from './tree.js';

export interface LogAnchorsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly auditLogs: Pick<AuditLogs, 'recordCriticalAlone' | 'criticalRow'>;
  readonly apiLogs: Pick<ApiLogs, 'get' | 'settledLeaves' | 'leavesBetween' | 'firstFrom' | 'walk'>;
  /** Of one anchor; default 10,000. */
  readonly leavesMax?: number;
  /** Read for one proof; default 20,000. */
  readonly proofRowsMax?: number;
}

export interface LogAnchors {
  /** Anchors what is settled of every tenant and mode, a range at a time. */
  anchor(context: JobContext): Promise<JobReport>;
  proof(scope: Scope, requestId: string): Promise<Proof>;
}

const LEAVES_MAX = 10_000;
const ROWS_AT_ONCE = 1_000;
const GONE_AT_ONCE = 1_000;

interface Range {
  readonly fromId: number;
  readonly toId: number;
  readonly tree: GrowingTree;
}

export function createLogAnchors(deps: LogAnchorsDeps): LogAnchors {
  const { db, clock, ids, auditLogs, apiLogs, leavesMax = LEAVES_MAX } = deps;
  const store = createLogAnchorStore(db);

  /** What comes behind the last anchor, up to what one may hold; undefined = nothing. */
  async function nextRange(scope: Scope, last: LogAnchor | undefined): Promise<Range | undefined> {
    const tree = createGrowingTree();
    let firstId: number | undefined;
    let toId = last?.toId ?? 0;
    while (tree.leafCount < leavesMax) {
      const wanted = Math.min(ROWS_AT_ONCE, leavesMax - tree.leafCount);
      const leaves = await apiLogs.settledLeaves(scope, toId, wanted);
      await hashLeaves(leaves, (hash) => tree.add(hash));
      firstId ??= leaves[0]?.id;
      toId = leaves.at(-1)?.id ?? toId;
      if (leaves.length < wanted) break;
    }
    if (firstId === undefined) return undefined;
    // From one range to the next without a gap: a row that turned up between two would be in neither.
    return { fromId: last ? last.toId + 1 : firstId, toId, tree };
  }

  async function commit(scope: Scope, range: Range, context: JobContext): Promise<void> {
    const { fromId, toId, tree } = range;
    const [merkleRoot, leafCount] = [tree.root(), tree.leafCount];
    const id = ids.uuid();
    const entry = anchorEntry(id, { algo: ALGO, merkleRoot, leafCount, fromId, toId });
    await db.transaction(async (tx) => {
      await context.fence(tx);
      const { sequenceNumber, rowHash } = await auditLogs.recordCriticalAlone(tx, scope, entry);
      await store.insert(tx, scope, {
        id,
        sequenceNumber,
        chainRowHash: rowHash,
        anchoredAtMs: clock.nowMs(),
        algo: ALGO,
        merkleRoot,
        leafCount,
        fromId,
        toId,
      });
    });
  }

  /** Anchors of rows that are gone prove nothing any more; the last one says where to go on, the critical chain keeps all. */
  async function dropBefore(scope: Scope, last: LogAnchor): Promise<void> {
    const first = await apiLogs.firstFrom(scope, 0);
    await store.deleteBefore(scope, Math.min(first?.id ?? last.toId, last.fromId), GONE_AT_ONCE);
  }

  return {
    async anchor(context) {
      let left = context.batchMax;
      const isStopping = () => context.isStopping() || context.signal.aborted;
      const { rows, payload, isOver } = await apiLogs.walk({
        payload: context.payload,
        isStopping,
        async visit(scope) {
          let anchored = 0;
          for (;;) {
            const last = await store.last(scope);
            const range = left > 0 && !isStopping() ? await nextRange(scope, last) : undefined;
            if (range === undefined) {
              if (last) await dropBefore(scope, last);
              return { rows: anchored, isOver: left > 0 && !isStopping() };
            }
            try {
              await commit(scope, range, context);
            } catch (error) {
              // Another process was there first, and this one's lease is over.
              if (error instanceof UniqueViolation) return { rows: anchored, isOver: false };
              throw error;
            }
            anchored += range.tree.leafCount;
            left -= range.tree.leafCount;
          }
        },
      });
      return { rows, payload, ...(!isOver && { againInMs: 0 }) };
    },

    proof: createProofs({ ...deps, store }),
  };
}
