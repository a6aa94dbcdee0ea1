import { canonicalJson } from '../../../kernel/canonical-json.js';
import type { Scope } from '../../../kernel/ids.js';
import type { AuditEntry } from '../../audit-logs/index.js';
import type { LogAnchor } from './store.js';

type Anchored = Pick<LogAnchor, 'algo' | 'merkleRoot' | 'leafCount' | 'fromId' | 'toId'>;

function anchorDetails({ algo, merkleRoot, leafCount, fromId, toId }: Anchored): Record<string, unknown> {
  const [from_id, to_id] = [String(fromId), String(toId)];
  return { algo, merkle_root: merkleRoot.toString('hex'), leaf_count: leafCount, from_id, to_id };
}

export function anchorEntry(id: string, anchored: Anchored): AuditEntry {
  return {
    action: 'request_log.anchor',
    resourceType: 'request_log',
    resourceId: id,
    details: anchorDetails(anchored),
  };
}

/** What the row of the critical chain has to say of an anchor of that tenant and mode. */
export function chainDetails(scope: Scope, anchored: Anchored): string {
  return canonicalJson({ ...anchorDetails(anchored), sandbox: scope.sandbox });
}
