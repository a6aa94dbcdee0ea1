import { rateLimitExceeded } from '../../../kernel/errors.js';
import type { TenantId } from '../../../kernel/ids.js';

/** Acts of one tenant that ask a cloud, under way in this process. */
export const UNDER_WAY_MAX = 4;
const RETRY_AFTER_SECONDS = 5;

export type WithinLimit = <T>(tenantId: TenantId, act: () => Promise<T>) => Promise<T>;

/**
 * The server asks with one identity for all tenants: who has it ask without end would use up what the cloud lets that
 * identity ask, and seal others. 429 where there is no room.
 */
export function createUnderWayLimit(): WithinLimit {
  const underWay = new Map<TenantId, number>();
  return async (tenantId, act) => {
    const before = underWay.get(tenantId) ?? 0;
    if (before >= UNDER_WAY_MAX) {
      throw rateLimitExceeded(`${before} calls that ask a KMS are under way`, {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    underWay.set(tenantId, before + 1);
    try {
      return await act();
    } finally {
      const left = (underWay.get(tenantId) ?? 1) - 1;
      if (left > 0) underWay.set(tenantId, left);
      else underWay.delete(tenantId);
    }
  };
}
