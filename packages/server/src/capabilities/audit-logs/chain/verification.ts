import type { TenantId } from '../../../kernel/ids.js';
import type { Secret } from '../../../kernel/secret.js';
import type { Database } from '../../../platform/storage/database.js';
import { checkpointSigner, createTrust } from './checkpoint.js';
import { createOutsideRows } from './outside.js';
import { type ChainStore, CRITICAL_CHAIN, createChainStore, START } from './store.js';
import { type BadRow, type ChainSource, type Verification, verifyChain } from './verify.js';

export interface TenantVerification extends Verification {
  /** Committed rows that are not sealed yet; no error. */
  readonly unsealedTail: number;
}

/** Verifies the chains; reads only, so that a command can do it beside a running server. */
export interface AuditVerification {
  /** False where the installation has kept public keys, but not this root key's: it is another installation's. */
  knowsKey(): Promise<boolean>;
  /** Every tenant of which a row, a chain, or a trace of one, is there. */
  listTenants(): Promise<TenantId[]>;
  verifyTenant(tenantId: TenantId, range?: SequenceRange): Promise<TenantVerification>;
  verifyCritical(): Promise<Verification>;
}

/** Both inclusive. */
export interface SequenceRange {
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

export interface AuditVerificationDeps {
  readonly db: Database;
  readonly rootKey: Secret<Buffer>;
}

export function createAuditVerification({ db, rootKey }: AuditVerificationDeps): AuditVerification {
  const store = createChainStore(db);
  const outside = createOutsideRows(db);
  const signer = checkpointSigner(rootKey);

  async function verify(source: ChainSource, range: SequenceRange): Promise<Verification> {
    const trust = createTrust(signer, await store.listKeys());
    return verifyChain(source, { ...range, trust });
  }

  return {
    async knowsKey() {
      const kept = await store.listKeys();
      return kept.length === 0 || kept.some(({ keyId }) => keyId === signer.keyId);
    },
    async listTenants() {
      return [...new Set([...(await store.listTenants()), ...(await outside.listTenants())])];
    },
    async verifyTenant(tenantId, range = {}) {
      const verification = await verify(tenantSource(store, tenantId), range);
      const unsealedTail = await store.countUnsealed(tenantId);
      const { head } = verification;
      const reachesEnd = range.to === undefined || range.to >= head.sequenceNumber;
      if (verification.firstBad !== null || !reachesEnd) return { ...verification, unsealedTail };
      const outsideId = await outside.first(tenantId);
      // It has no number of its own: the one behind the chain.
      const firstBad = outsideId === null ? null : outsideRow(head.sequenceNumber + 1, outsideId);
      return { ...verification, firstBad, unsealedTail };
    },
    verifyCritical: () => verify(criticalSource(store), {}),
  };
}

function outsideRow(sequenceNumber: number, id: string): BadRow {
  return { sequenceNumber, reason: `the row ${id} of the log is not in the chain and does not wait for it` };
}

function tenantSource(store: ChainStore, tenantId: TenantId): ChainSource {
  return {
    head: async () => (await store.findHead(tenantId)) ?? START,
    last: async () => (await store.bounds(tenantId)).last,
    links: (after, upTo, limit) => store.links(tenantId, after, upTo, limit),
    checkpoints: (from, upTo) => store.listCheckpoints(tenantId, from, upTo),
    newest: (kind) => store.newestCheckpoint(tenantId, kind),
  };
}

function criticalSource(store: ChainStore): ChainSource {
  return {
    head: async () => (await store.criticalHead()) ?? START,
    last: () => store.criticalLast(),
    links: (after, upTo, limit) => store.criticalLinks(after, upTo, limit),
    checkpoints: (from, upTo) => store.listCheckpoints(CRITICAL_CHAIN, from, upTo),
    newest: (kind) => store.newestCheckpoint(CRITICAL_CHAIN, kind),
  };
}
