import type { Clock } from '../../../kernel/clock.js';
import { notFound, validationError } from '../../../kernel/errors.js';
import type { TenantId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Caller } from '../../../kernel/principal.js';
import type { Generations } from '../../../platform/cache/generations.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { Database } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { actorOnKeys } from '../actor.js';
import type { Rewraps } from '../rewrap/service.js';
import { createKmsStore, type MasterKey } from '../store.js';
import { kmsGeneration } from '../versions.js';
import { revokeEntry } from './audit.js';
import { versionActive, versionInUse, versionJustRetired } from './errors.js';
import { createRevocationStore } from './store.js';

export interface RevocationRequest {
  /** The slug of the tenant; goes with `force`. */
  readonly confirm?: string | undefined;
  /** Revoke although stored secrets are lost with the version. */
  readonly force?: boolean | undefined;
}

/** Cryptographic erasure: what a version alone opens can never be read again (kms-admin.md §1.6). */
export interface Revocations {
  /** Resolves when the bytes are out of the database's files. Again for a revoked one: does the rest. */
  revoke(caller: Caller, version: number, request: RevocationRequest): Promise<number>;
}

export interface RevocationsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly generations: Pick<Generations, 'bump'>;
  readonly auditLogs: Pick<AuditLogs, 'recordCritical'>;
  readonly rewraps: Pick<Rewraps, 'issue' | 'progress' | 'references'>;
}

/**
 * A call that was under way at the rotation has stored by then what it sealed under the former version: one with an
 * idempotency key stores its answer at its end, under the key that was sealed at its beginning.
 */
const WRITES_END_MS = LIMITS.requestMs;

export function createRevocations(deps: RevocationsDeps): Revocations {
  const { db, clock, generations, auditLogs, rewraps } = deps;
  const keys = createKmsStore(db);
  const store = createRevocationStore(db);

  async function keyOf(tenantId: TenantId, version: number): Promise<MasterKey> {
    const key = await keys.findKey(tenantId, version);
    if (!key) throw notFound('Version');
    if (key.status === 'active') throw versionActive(version);
    return key;
  }

  /** Also sees to it that what stands in the way does not stay there. */
  async function assertUnused(tenantId: TenantId, version: number): Promise<void> {
    const rows = await rewraps.references(tenantId, version);
    const pass = await rewraps.progress(tenantId);
    if (rows > 0) {
      if (pass?.status !== 'pending' && pass?.status !== 'running') await bringAlong(tenantId);
      throw versionInUse(version, rows);
    }
    const waitMs = pass ? pass.issuedAtMs + WRITES_END_MS - clock.nowMs() : 0;
    if (waitMs > 0) throw versionJustRetired(version, Math.ceil(waitMs / 1_000));
  }

  async function bringAlong(tenantId: TenantId): Promise<void> {
    const active = await keys.findActiveVersion(tenantId);
    if (active !== undefined) await db.transaction((tx) => rewraps.issue(tx, tenantId, active));
  }

  return {
    async revoke(caller, version, { confirm, force = false }) {
      const { scope, tenantSlug } = caller.principal;
      const { tenantId } = scope;
      const known = await keyOf(tenantId, version);
      if ((force || confirm !== undefined) && confirm !== tenantSlug)
        throw validationError('confirm', 'must be the slug of the tenant');
      if (!force && known.status !== 'revoked') await assertUnused(tenantId, version);
      await db.transaction(async (tx) => {
        await tx.lock('tenants', tenantId);
        const key = await keys.findKey(tenantId, version, tx);
        if (!key) throw notFound('Version');
        if (key.wrapped) {
          await store.wipe(tx, tenantId, version, key.wrapped);
          await generations.bump(tx, kmsGeneration(tenantId));
          await auditLogs.recordCritical(tx, actorOnKeys(caller), revokeEntry(version, force));
        }
        await recordAnswer(tx, caller, version);
      });
      await db.scrub('tenant_master_keys');
      return version;
    },
  };
}
