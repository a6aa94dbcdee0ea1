import type { Clock } from '../../kernel/clock.js';
import type { IdSource, TenantId } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { createEnvironmentStore, type EnvironmentTerms } from './store.js';

export const COLOR_DEFAULT = '#6366f1';

/** What every tenant and mode starts with; tenants that were there before had it by migration 0053. */
const FIRST_ENVIRONMENT: EnvironmentTerms = {
  name: 'production',
  displayName: 'Production',
  description: null,
  color: COLOR_DEFAULT,
  isDefault: true,
  variables: {},
};

export interface FirstEnvironmentsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
}

/** In the transaction that makes a tenant, for both of its modes. */
export function createFirstEnvironments({ db, clock, ids }: FirstEnvironmentsDeps) {
  const store = createEnvironmentStore(db);
  return async (tx: Transaction, tenantId: TenantId): Promise<void> => {
    const nowMs = clock.nowMs();
    for (const sandbox of [false, true]) {
      await store.insert(tx, {
        ...FIRST_ENVIRONMENT,
        id: ids.uuid(),
        scope: { tenantId, sandbox },
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
      });
    }
  };
}
