import { type Clock, isoTimeOrNull } from '../../../kernel/clock.js';
import type { TenantId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Logger } from '../../../platform/log/logger.js';
import type { Outbox } from '../../../platform/outbox/outbox.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { tenantSealed } from '../errors.js';
import { KmsFailure } from '../providers/types.js';
import type { MasterKey } from '../store.js';
import { failureText } from './failure-text.js';
import type { TenantKmsConfig, TenantKmsStore } from './store.js';

/** When a tenant's own KMS counts as lost, and when as found again (kms-admin.md §3.4). */
export interface Sealing {
  /**
   * What `unwrap` gives. Where it fails for the active version, the tenant is sealed; while it is, its KMS is asked by
   * nobody but who tries to unseal it.
   */
  opened(tenantId: TenantId, key: MasterKey, unwrap: () => Promise<Buffer>): Promise<Buffer>;
  /** Seals, unless the tenant has another configuration by now, or its key was opened since it was asked for. */
  seal(
    config: Pick<TenantKmsConfig, 'tenantId' | 'kmsKey'>,
    failure: KmsFailure,
    askedAtMs: number,
  ): Promise<void>;
  /** What is remembered of the tenant's failures: its keys have changed. */
  forget(tenantId: TenantId): void;
  /** With the change that has ended the seal. */
  publishUnsealed(tx: Transaction, config: TenantKmsConfig): Promise<void>;
}

/** Failures of retired versions that are remembered; one more forgets them all. */
const FAILURES_MAX = 10_000;

export interface SealingDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly store: TenantKmsStore;
  readonly outbox: Pick<Outbox, 'publish'>;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

export function createSealing({ db, clock, store, outbox, logger }: SealingDeps): Sealing {
  /** Until when no KMS is asked for a version again, by the monotonic clock. */
  const failedUntilMs = new Map<string, number>();

  async function publish(
    tx: Transaction,
    type: 'tenant_kms.sealed' | 'tenant_kms.unsealed',
    { tenantId, kmsKey }: Pick<TenantKmsConfig, 'tenantId' | 'kmsKey'>,
    more: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const { provider, kms_key_ref } = JSON.parse(kmsKey) as Record<string, string>;
    await outbox.publish(tx, {
      scope: { tenantId, sandbox: false },
      type,
      key: `tenant_kms:${tenantId}`,
      payload: { provider, kms_key_ref, ...more },
    });
  }

  async function seal(
    { tenantId, kmsKey }: Pick<TenantKmsConfig, 'tenantId' | 'kmsKey'>,
    failure: KmsFailure,
    askedAtMs: number,
  ): Promise<void> {
    await db.transaction(async (tx) => {
      const config = await store.find(tenantId, tx);
      if (config?.kmsKey !== kmsKey || (config.lastVerifiedAtMs ?? 0) > askedAtMs) return;
      const error = failureText(failure);
      if (config.sealedSinceMs !== null) return store.setFailed(tx, tenantId, error, clock.nowMs());
      await store.setSealed(tx, tenantId, error, clock.nowMs());
      await publish(tx, 'tenant_kms.sealed', config, { reason: failure.reason, last_verify_error: error });
      tx.afterCommit(() =>
        logger.warn({ tenant_id: tenantId, reason: error }, 'a tenant is sealed: its own key does not open'),
      );
    });
  }

  function remember(name: string): void {
    if (failedUntilMs.size >= FAILURES_MAX) failedUntilMs.clear();
    failedUntilMs.set(name, clock.monotonicMs() + LIMITS.sealedRetryMs);
  }

  return {
    seal,

    async opened(tenantId, key, unwrap) {
      const config = await store.find(tenantId);
      if (config?.sealedSinceMs != null && config.kmsKey === key.kmsKey) {
        throw tenantSealed(`sealed: ${config.lastVerifyError}`);
      }
      // Of a key that the tenant has replaced: nobody tries to unseal it, and readers must not call it all the time.
      const name = `${tenantId}:${key.version}`;
      const retryAtMs = failedUntilMs.get(name);
      if (retryAtMs !== undefined && clock.monotonicMs() < retryAtMs) {
        throw tenantSealed(`master key version ${key.version} was not opened less than 30 s ago`);
      }
      failedUntilMs.delete(name);
      const askedAtMs = clock.nowMs();
      try {
        return await unwrap();
      } catch (error) {
        if (error instanceof KmsFailure) {
          if (key.status === 'active' && key.kmsKey !== null) {
            await seal({ tenantId, kmsKey: key.kmsKey }, error, askedAtMs);
          } else remember(name);
        }
        throw error;
      }
    },

    forget(tenantId) {
      for (const name of failedUntilMs.keys())
        if (name.startsWith(`${tenantId}:`)) failedUntilMs.delete(name);
    },

    async publishUnsealed(tx, config) {
      const since = isoTimeOrNull(config.sealedSinceMs);
      await publish(tx, 'tenant_kms.unsealed', config, { sealed_since: since });
      tx.afterCommit(() =>
        logger.info({ tenant_id: config.tenantId, sealed_since: since }, 'a tenant is no longer sealed'),
      );
    },
  };
}
