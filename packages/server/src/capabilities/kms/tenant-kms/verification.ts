import type { Clock } from '../../../kernel/clock.js';
import { isAppError } from '../../../kernel/errors.js';
import type { TenantId } from '../../../kernel/ids.js';
import type { Actor, Caller } from '../../../kernel/principal.js';
import type { Generations } from '../../../platform/cache/generations.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { Database } from '../../../platform/storage/database.js';
import { systemActor } from '../../accounts/index.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { KmsFailure } from '../providers/types.js';
import type { KmsParts } from '../service.js';
import { kmsGeneration } from '../versions.js';
import { kmsEntry } from './audit.js';
import { notSealed, unsealFailed } from './errors.js';
import { failureText } from './failure-text.js';
import { createRenewal } from './renewal.js';
import type { TenantKmsConfig } from './store.js';

/** Whether tenants' own keys open, asked of the KMS itself and not of what is in memory (kms-admin.md §1.5, §8.2). */
export interface Verification {
  /** Null where the active version opens. */
  failureOfActive(config: TenantKmsConfig): Promise<KmsFailure | null>;
  /** The same; where it does not, the tenant is sealed. */
  sealUnlessActiveOpens(config: TenantKmsConfig): Promise<KmsFailure | null>;
  /** 409 `not_sealed`, 502 `unseal_failed`. */
  unseal(config: TenantKmsConfig, actor: Actor, caller?: Caller): Promise<void>;
  /** Tries sealed tenants again, those that have waited longest first; how many it has tried. */
  retrySealed(limit: number): Promise<number>;
  /** Checks those that were not asked for a day, and has them wrap anew where they do it by a newer key by now. */
  verifyDue(limit: number): Promise<number>;
}

const VERIFIED_EVERY_MS = 24 * 3_600_000;
/** Tenants at once: a KMS that does not answer holds one up for some 15 s. */
const CONCURRENCY = 10;

export interface VerificationDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly parts: KmsParts;
  readonly generations: Pick<Generations, 'bump'>;
  readonly auditLogs: Pick<AuditLogs, 'recordCritical'>;
}

export function createVerification(deps: VerificationDeps): Verification {
  const { db, clock, parts, generations, auditLogs } = deps;
  const { store, configs, wrappingKeys, sealing } = parts;
  const renewal = createRenewal({ db, parts });

  async function failureOfActive({ tenantId }: TenantKmsConfig): Promise<KmsFailure | null> {
    try {
      const opened = await openActive(tenantId);
      opened.fill(0);
      return null;
    } catch (error) {
      if (error instanceof KmsFailure) return error;
      throw error;
    }
  }

  async function openActive(tenantId: TenantId): Promise<Buffer> {
    const version = await store.findActiveVersion(tenantId);
    const key = version === undefined ? undefined : await store.findKey(tenantId, version);
    if (!key?.wrapped) throw new KmsFailure('key_unusable', 'key', 'no_active_version');
    return wrappingKeys.unwrap(tenantId, key);
  }

  async function sealUnlessActiveOpens(config: TenantKmsConfig): Promise<KmsFailure | null> {
    const askedAtMs = clock.nowMs();
    const failure = await failureOfActive(config);
    if (failure) await sealing.seal(config, failure, askedAtMs);
    return failure;
  }

  async function unseal(config: TenantKmsConfig, actor: Actor, caller?: Caller): Promise<void> {
    if (config.sealedSinceMs === null) throw notSealed();
    const failure = await sealUnlessActiveOpens(config);
    if (failure) throw unsealFailed(failure);
    const { tenantId, kmsKey } = config;
    await db.transaction(async (tx) => {
      const now = await configs.find(tenantId, tx);
      // Another process was faster, or the tenant has another key by now, which was proved when it came.
      if (now?.kmsKey === kmsKey && now.sealedSinceMs !== null) {
        await configs.setVerified(tx, tenantId, null, clock.nowMs());
        await generations.bump(tx, kmsGeneration(tenantId));
        await sealing.publishUnsealed(tx, now);
        const details = { sealed_for_seconds: Math.round((clock.nowMs() - now.sealedSinceMs) / 1_000) };
        await auditLogs.recordCritical(tx, actor, kmsEntry('byok.kms.unseal', kmsKey, details));
      }
      if (caller) await recordAnswer(tx, caller, undefined);
    });
  }

  async function verify(config: TenantKmsConfig): Promise<void> {
    if (await sealUnlessActiveOpens(config)) return;
    const failure = await renewal.renew(config);
    await db.transaction(async (tx) => {
      const now = await configs.find(config.tenantId, tx);
      if (now?.kmsKey !== config.kmsKey || now.sealedSinceMs !== null) return;
      const error = failure && `The key opens and does not wrap. ${failureText(failure)}`;
      await configs.setVerified(tx, config.tenantId, error, clock.nowMs());
    });
  }

  /** What goes wrong at one tenant is thrown once all had their turn: nobody stays sealed for another's sake. */
  async function each(
    due: readonly TenantKmsConfig[],
    act: (config: TenantKmsConfig) => Promise<void>,
  ): Promise<number> {
    const failures: unknown[] = [];
    for (let from = 0; from < due.length; from += CONCURRENCY) {
      const turns = due
        .slice(from, from + CONCURRENCY)
        .map((config) => act(config).catch((error: unknown) => failures.push(error)));
      await Promise.all(turns);
    }
    if (failures.length > 0) throw failures[0];
    return due.length;
  }

  return {
    failureOfActive,
    sealUnlessActiveOpens,
    unseal,
    retrySealed: async (limit) =>
      each(await configs.listSealed(limit), async (config) => {
        try {
          await unseal(config, systemActor(config.tenantId));
        } catch (error) {
          if (!isAppError(error, 'unseal_failed')) throw error;
        }
      }),
    verifyDue: async (limit) => each(await configs.listDue(clock.nowMs() - VERIFIED_EVERY_MS, limit), verify),
  };
}
