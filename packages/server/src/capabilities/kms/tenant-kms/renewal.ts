import type { Database } from '../../../platform/storage/database.js';
import { unpackWrapped } from '../providers/cloud/wrapped-bytes.js';
import { KmsFailure } from '../providers/types.js';
import type { KmsParts } from '../service.js';
import type { WrappedMasterKey, Wrapping } from '../store.js';
import type { TenantKmsConfig } from './store.js';

export interface RenewalDeps {
  readonly db: Database;
  readonly parts: Pick<KmsParts, 'store' | 'wrappingKeys'>;
}

/**
 * Master keys follow the key in the cloud to its newest version, so that an older one may be destroyed there
 * (kms-admin.md §8.2). No data is touched: what changes is the wrapping.
 */
export function createRenewal({ db, parts: { store, wrappingKeys } }: RenewalDeps) {
  async function wrapAnew(key: WrappedMasterKey, kmsKey: string): Promise<Wrapping> {
    const opened = await wrappingKeys.unwrap(key.tenantId, key);
    try {
      return await wrappingKeys.wrapBy(kmsKey)(opened, key);
    } finally {
      opened.fill(0);
    }
  }

  return {
    /** Null where the key wraps; else why it does not. What does not open is left as it is. */
    async renew({ tenantId, kmsKey }: TenantKmsConfig): Promise<KmsFailure | null> {
      const [newest, ...older] = (await store.listOpenable(tenantId)).filter((key) => key.kmsKey === kmsKey);
      if (!newest) return null;
      try {
        const wrapping = await wrapAnew(newest, kmsKey);
        const current = nameOf(wrapping.wrapped);
        if (nameOf(newest.wrapped) !== current) await replace(newest, wrapping);
        for (const key of older) {
          if (nameOf(key.wrapped) !== current) await replaceWhereItOpens(key, kmsKey);
        }
        return null;
      } catch (error) {
        if (error instanceof KmsFailure) return error;
        throw error;
      }
    },
  };

  async function replaceWhereItOpens(key: WrappedMasterKey, kmsKey: string): Promise<void> {
    try {
      await replace(key, await wrapAnew(key, kmsKey));
    } catch (error) {
      if (!(error instanceof KmsFailure)) throw error;
    }
  }

  async function replace(key: WrappedMasterKey, to: Wrapping): Promise<void> {
    await db.transaction((tx) => store.rewrapMasterKey(tx, key, to));
  }
}

/** Of the key, and where the cloud says it of its version, that wrapped it. */
function nameOf(wrapped: Buffer): string {
  return unpackWrapped(wrapped).keyName;
}
