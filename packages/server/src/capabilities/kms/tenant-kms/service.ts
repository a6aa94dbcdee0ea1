import type { Clock } from '../../../kernel/clock.js';
import type { TenantId } from '../../../kernel/ids.js';
import type { Caller } from '../../../kernel/principal.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { Transaction } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { actorOnKeys } from '../actor.js';
import type { CloudKey, CloudName } from '../cloud-key.js';
import type { WrittenKey } from '../cloud-key-rules.js';
import { cloudKeyText } from '../cloud-key-text.js';
import { tenantSealed } from '../errors.js';
import type { Clouds } from '../providers/index.js';
import { KmsFailure } from '../providers/types.js';
import type { Rewraps } from '../rewrap/service.js';
import type { KmsParts } from '../service.js';
import { Overtaken, type VersionPlan } from '../versions.js';
import { kmsEntry } from './audit.js';
import { kmsVerifyFailed, kmsWrapFailed, noKmsConfig, ofAnother } from './errors.js';
import { type ForeignNames, namesOf } from './references.js';
import type { ShownMasterKey, TenantKmsConfig } from './store.js';
import type { Verification } from './verification.js';
import { judgeWrittenKey, type WrittenKeyDeps } from './written-key.js';

export interface Onboarded {
  readonly provider: CloudName;
  readonly keyRef: string;
  readonly version: number;
  readonly tenantId: TenantId;
  /** Of the versions under the former key that does not open any more. */
  readonly unreadableVersions: readonly number[];
  /** AWS lets whoever names the role here have it. */
  readonly hasRoleWithoutExternalId: boolean;
}

export interface Rotated {
  readonly version: number;
  readonly leaseId: number | null;
}

/** A tenant's own KMS (kms-admin.md §1). */
export interface TenantKms {
  /** Proves the key both ways, and only then has it wrap a new master key. */
  onboard(caller: Caller, written: WrittenKey): Promise<Onboarded>;
  get(caller: Caller): Promise<{ config: TenantKmsConfig; keys: readonly ShownMasterKey[] }>;
  rotate(caller: Caller): Promise<Rotated>;
  /** Back to what wraps the keys of other tenants; refused where the key does not open, since its data would be lost. */
  delete(caller: Caller): Promise<void>;
  /** Changes nothing. */
  test(caller: Caller): Promise<{ latencyMs: number }>;
  unseal(caller: Caller): Promise<void>;
}

export interface TenantKmsDeps extends WrittenKeyDeps {
  readonly clock: Clock;
  /** `KNOX_KMS_SHARED_KEYS`. */
  readonly hasSharedKeys: boolean;
  readonly parts: KmsParts;
  readonly clouds: Pick<Clouds, 'providerOf' | 'mayAssumeWithoutExternalId'>;
  readonly auditLogs: Pick<AuditLogs, 'recordCritical'>;
  readonly rewraps: Pick<Rewraps, 'issue'>;
  readonly verification: Verification;
}

export function createTenantKms(deps: TenantKmsDeps): TenantKms {
  const { clock, parts, clouds, auditLogs, rewraps, verification } = deps;
  const { store, configs, versions, wrappingKeys, sealing } = parts;

  async function requireConfig(tenantId: TenantId, tx?: Transaction): Promise<TenantKmsConfig> {
    const config = await configs.find(tenantId, tx);
    if (!config) throw noKmsConfig();
    return config;
  }

  async function requireUnsealed(tenantId: TenantId): Promise<TenantKmsConfig> {
    const config = await requireConfig(tenantId);
    if (config.sealedSinceMs !== null) throw tenantSealed(`sealed: ${config.lastVerifyError}`);
    return config;
  }

  /** The plan was made for that configuration, and for a tenant that is not sealed. */
  async function requireUnchanged(tx: Transaction, config: TenantKmsConfig): Promise<void> {
    const now = await requireConfig(config.tenantId, tx);
    if (now.kmsKey !== config.kmsKey || now.sealedSinceMs !== null) throw new Overtaken();
  }

  async function requireFree(tenantId: TenantId, names: ForeignNames, tx?: Transaction): Promise<void> {
    if (deps.hasSharedKeys) return;
    const named = await configs.namedByOthers(tenantId, names, tx);
    if (named !== null) throw ofAnother(named);
  }

  /** Null where that is not to be found out: a warning is no refusal. */
  async function isAssumedWithoutExternalId(key: CloudKey): Promise<boolean> {
    try {
      return await clouds.mayAssumeWithoutExternalId(key);
    } catch (error) {
      if (error instanceof KmsFailure) return false;
      throw error;
    }
  }

  /** What a replacement would leave behind: versions that the key in force has wrapped and does not open any more. */
  async function unreadableVersions(tenantId: TenantId): Promise<number[]> {
    const config = await configs.find(tenantId);
    if (!config || (await verification.failureOfActive(config)) === null) return [];
    const keys = await store.listOpenable(tenantId);
    return keys.filter(({ kmsKey }) => kmsKey === config.kmsKey).map(({ version }) => version);
  }

  const addVersion = <Result>(
    tenantId: TenantId,
    failed: (failure: KmsFailure) => Error,
    plan: () => Promise<VersionPlan<Result>>,
  ): Promise<Result> =>
    versions.add(tenantId, plan).catch((error) => {
      throw error instanceof KmsFailure ? failed(error) : error;
    });

  return {
    async onboard(caller, written) {
      const { principal } = caller;
      const { tenantId } = principal.scope;
      const key = await judgeWrittenKey(deps, principal, written);
      const [kmsKey, names] = [cloudKeyText(key), namesOf(key)];
      // Before it is asked for anything: the probe alone would use a neighbour's grant.
      await requireFree(tenantId, names);
      try {
        await clouds.providerOf(key, 'customer_kms').probe();
      } catch (error) {
        throw error instanceof KmsFailure ? kmsVerifyFailed(error) : error;
      }
      const findings = {
        hasRoleWithoutExternalId: await isAssumedWithoutExternalId(key),
        unreadableVersions: await unreadableVersions(tenantId),
      };
      return addVersion(tenantId, kmsVerifyFailed, async () => ({
        wrap: wrappingKeys.wrapBy(kmsKey),
        async finish(tx, version) {
          await requireFree(tenantId, names, tx);
          const former = await configs.find(tenantId, tx);
          await configs.put(tx, tenantId, kmsKey, names, clock.nowMs());
          if (former && former.sealedSinceMs !== null) await sealing.publishUnsealed(tx, former);
          await rewraps.issue(tx, tenantId, version);
          const onboarded = { provider: key.provider, keyRef: key.keyRef, version, tenantId, ...findings };
          await auditLogs.recordCritical(
            tx,
            actorOnKeys(caller),
            kmsEntry('byok.kms.onboard', kmsKey, { version }),
          );
          await recordAnswer(tx, caller, onboarded);
          return onboarded;
        },
      }));
    },

    async get({ principal }) {
      const { tenantId } = principal.scope;
      const config = await requireConfig(tenantId);
      return { config, keys: await configs.listVersions(tenantId) };
    },

    async rotate(caller) {
      const { tenantId } = caller.principal.scope;
      return addVersion(tenantId, kmsWrapFailed, async () => {
        const config = await requireUnsealed(tenantId);
        return {
          wrap: wrappingKeys.wrapBy(config.kmsKey),
          async finish(tx, version) {
            await requireUnchanged(tx, config);
            const rotated = { version, leaseId: await rewraps.issue(tx, tenantId, version) };
            const entry = kmsEntry('byok.kms.rotate', config.kmsKey, { version });
            await auditLogs.recordCritical(tx, actorOnKeys(caller), entry);
            await recordAnswer(tx, caller, rotated);
            return rotated;
          },
        };
      });
    },

    async delete(caller) {
      const { tenantId } = caller.principal.scope;
      await addVersion(tenantId, kmsWrapFailed, async () => {
        const config = await requireUnsealed(tenantId);
        const failure = await verification.sealUnlessActiveOpens(config);
        if (failure) throw tenantSealed(`sealed: ${failure.message}`, failure);
        return {
          wrap: wrappingKeys.wrap,
          async finish(tx, version) {
            await requireUnchanged(tx, config);
            await configs.delete(tx, tenantId);
            await rewraps.issue(tx, tenantId, version);
            const entry = kmsEntry('byok.kms.delete', config.kmsKey, { version });
            await auditLogs.recordCritical(tx, actorOnKeys(caller), entry);
            await recordAnswer(tx, caller, undefined);
          },
        };
      });
    },

    async test({ principal }) {
      const config = await requireConfig(principal.scope.tenantId);
      const startedAtMs = clock.monotonicMs();
      try {
        await wrappingKeys.providerOf({ wrapMethod: 'customer_kms', kmsKey: config.kmsKey }).probe();
      } catch (error) {
        throw error instanceof KmsFailure ? kmsVerifyFailed(error) : error;
      }
      return { latencyMs: Math.round(clock.monotonicMs() - startedAtMs) };
    },

    async unseal(caller) {
      const config = await requireConfig(caller.principal.scope.tenantId);
      await verification.unseal(config, actorOnKeys(caller), caller);
    },
  };
}
