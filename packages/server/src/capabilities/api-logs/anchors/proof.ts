import type { Scope } from '../../../kernel/ids.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import type { ApiLogs } from '../service.js';
import { chainDetails } from './audit.js';
import { hashLeaves } from './leaf.js';
import type { LogAnchor, LogAnchorStore } from './store.js';
import { bytesOf, type ProofStep, treeOf } from './tree.js';

/** Why a row is not proven (dataplane §10). */
export const PROOF_REASONS = [
  'not_yet_anchored',
  'range_incomplete',
  'range_grew',
  'root_mismatch',
  'row_not_in_range',
  'anchor_range_too_large',
] as const;
export type ProofReason = (typeof PROOF_REASONS)[number];

export interface Proof {
  readonly anchored: boolean;
  /** Absent where there is no anchor to verify against. */
  readonly verified?: boolean;
  readonly reason?: ProofReason;
  readonly detail: string;
  readonly observedLeafCount?: number;
  readonly recomputedRoot?: Buffer;
  readonly anchor?: LogAnchor;
  readonly leafIndex?: number;
  readonly leafHash?: Buffer;
  readonly proof?: readonly ProofStep[];
}

const DETAILS: Readonly<Record<ProofReason, string>> = {
  not_yet_anchored: 'Rows are anchored some minutes after they are written.',
  range_incomplete:
    'Rows of the anchored range are gone, as retention removes them: the root cannot be recomputed any more.',
  range_grew: 'The range holds more rows than were anchored: some were added to it later.',
  root_mismatch: 'The rows of the range do not make the anchored root: one of them was changed.',
  row_not_in_range: 'Rows behind this one are anchored, and this one was not among them.',
  anchor_range_too_large: 'The anchored range has more rows than are read for a proof.',
};

const CHAIN_DIFFERS = 'The anchor is not what its row of the critical audit chain says.';
const VERIFIED = 'The row is among those that were anchored, as it was then.';

/** An anchor of this version has 10,000. */
const ROWS_READ_MAX = 20_000;
const ROWS_AT_ONCE = 1_000;

export interface ProofsDeps {
  readonly store: Pick<LogAnchorStore, 'holding' | 'last'>;
  readonly apiLogs: Pick<ApiLogs, 'get' | 'leavesBetween'>;
  readonly auditLogs: Pick<AuditLogs, 'criticalRow'>;
  readonly proofRowsMax?: number;
}

export function createProofs(deps: ProofsDeps) {
  const { store, apiLogs, auditLogs, proofRowsMax = ROWS_READ_MAX } = deps;

  async function leavesOf(scope: Scope, { fromId, toId }: LogAnchor): Promise<Map<number, string> | null> {
    const leaves = new Map<number, string>();
    for (let from = fromId; ; ) {
      const rows = await apiLogs.leavesBetween(scope, from, toId, ROWS_AT_ONCE);
      await hashLeaves(rows, (hash, { id }) => leaves.set(id, hash));
      if (leaves.size > proofRowsMax) return null;
      if (rows.length < ROWS_AT_ONCE) return leaves;
      from = rows.at(-1)!.id + 1;
    }
  }

  /** The chain refuses changes, the table of anchors does not: what counts is what the chain says. */
  async function isInChain(scope: Scope, anchor: LogAnchor): Promise<boolean> {
    const link = await auditLogs.criticalRow(anchor.sequenceNumber);
    return (
      link?.isIntact === true &&
      link.action === 'request_log.anchor' &&
      link.tenantId === scope.tenantId &&
      link.rowHash.equals(anchor.chainRowHash) &&
      link.details === chainDetails(scope, anchor)
    );
  }

  return async function proof(scope: Scope, requestId: string): Promise<Proof> {
    const log = await apiLogs.get(scope, requestId);
    const anchor = await store.holding(scope, log.id);
    if (anchor === undefined) {
      const last = await store.last(scope);
      const reason = last && last.toId > log.id ? 'row_not_in_range' : 'not_yet_anchored';
      return { anchored: false, reason, detail: DETAILS[reason] };
    }
    const unproven = (reason: ProofReason, more: Partial<Proof> = {}): Proof => ({
      anchored: true,
      verified: false,
      reason,
      detail: DETAILS[reason],
      anchor,
      ...more,
    });
    if (anchor.leafCount > proofRowsMax) return unproven('anchor_range_too_large');
    const leaves = await leavesOf(scope, anchor);
    if (leaves === null) return unproven('anchor_range_too_large');
    const found = leaves.get(log.id);
    const observedLeafCount = leaves.size;
    if (found === undefined) return unproven('row_not_in_range', { observedLeafCount });
    const tree = treeOf([...leaves.values()]);
    const seen = { observedLeafCount, recomputedRoot: tree.root, leafHash: bytesOf(found) };
    if (observedLeafCount < anchor.leafCount) return unproven('range_incomplete', seen);
    if (observedLeafCount > anchor.leafCount) return unproven('range_grew', seen);
    if (!tree.root.equals(anchor.merkleRoot)) return unproven('root_mismatch', seen);
    if (!(await isInChain(scope, anchor)))
      return unproven('root_mismatch', { ...seen, detail: CHAIN_DIFFERS });
    const leafIndex = [...leaves.keys()].indexOf(log.id);
    return {
      anchored: true,
      verified: true,
      detail: VERIFIED,
      ...seen,
      anchor,
      leafIndex,
      proof: tree.pathOf(leafIndex),
    };
  };
}
