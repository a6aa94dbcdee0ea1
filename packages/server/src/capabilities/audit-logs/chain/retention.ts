import type { TenantId } from '../../../kernel/ids.js';
import type { Signer } from '../../../platform/crypto/signing.js';
import type { Database } from '../../../platform/storage/database.js';
import { signCheckpoint } from './checkpoint.js';
import { type ChainPlace, type ChainStore, START } from './store.js';

/** Rows removed in one transaction. */
const TRIM_ROWS_MAX = 500;

export interface Trimming {
  readonly removed: number;
  /** Where a row does not verify: a chain that was tampered with is kept as it is. */
  readonly brokenAt: number | null;
}

export interface TrimDeps {
  readonly db: Database;
  readonly store: ChainStore;
  readonly signer: Signer;
}

/**
 * Removes one batch of a tenant's rows made before `beforeMs`, from the old end only, and leaves the signed hash of the
 * last one, from which the rest of the chain verifies (auth.md §8.2).
 */
export async function trimTenant(
  { db, store, signer }: TrimDeps,
  tenantId: TenantId,
  { beforeMs, rowsMax }: { readonly beforeMs: number; readonly rowsMax: number },
  nowMs: number,
): Promise<Trimming> {
  const head = await store.findHead(tenantId);
  let at: ChainPlace = (await store.newestCheckpoint(tenantId, 'trim')) ?? START;
  const first = at.sequenceNumber + 1;
  const auditIds: string[] = [];
  const batchRows = Math.min(rowsMax, TRIM_ROWS_MAX);
  const links = await store.links(tenantId, at.sequenceNumber, head?.sequenceNumber ?? 0, batchRows);
  for (const link of links) {
    const hash = link.sequenceNumber === at.sequenceNumber + 1 ? link.hashOf(at.rowHash) : null;
    if (!hash?.equals(link.rowHash) || link.createdAtMs === null)
      return { removed: 0, brokenAt: at.sequenceNumber + 1 };
    if (link.createdAtMs >= beforeMs) break;
    at = link;
    auditIds.push(link.auditId);
  }
  if (auditIds.length === 0) return { removed: 0, brokenAt: null };
  const { sequenceNumber, rowHash } = at;
  const trim = signCheckpoint(signer, { tenantId, kind: 'trim', sequenceNumber, rowHash, atMs: nowMs });
  const isRemoved = await db
    .transaction(async (tx) => {
      if (!(await store.removeTrimmed(tx, trim, first, auditIds))) throw new TrimmedElsewhere();
      return true;
    })
    .catch((error) => {
      if (error instanceof TrimmedElsewhere) return false;
      throw error;
    });
  return { removed: isRemoved ? auditIds.length : 0, brokenAt: null };
}

/** Undoes the transaction: another process has removed these rows meanwhile. */
class TrimmedElsewhere extends Error {}
