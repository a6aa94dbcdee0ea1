import type { TenantId } from '../../kernel/ids.js';
import type { Secret } from '../../kernel/secret.js';
import { createLru } from '../../platform/cache/lru.js';
import type { TenantKeys } from '../kms/index.js';

/** Values that were opened, while the master key that opened them is in memory (kms-admin.md §3.4). */
export interface OpenedValues {
  /** By the envelope object itself: whoever has it was given it by the row, under the scope that the row is of. */
  find(tenantId: TenantId, envelope: Buffer): Secret<string> | undefined;
  /** Before the key is asked for. What that opens is kept unless a key of the tenant has left since. */
  begin(tenantId: TenantId): (envelope: Buffer, text: Secret<string>) => void;
}

const TENANTS_MAX = 10_000;

/** What a tenant has open lives no longer than the sealed values do that are kept of it (`in-use.ts`). */
export function createOpenedValues({ onForget }: Pick<TenantKeys, 'onForget'>): OpenedValues {
  const tenants = createLru<TenantId, WeakMap<Buffer, Secret<string>>>({ entriesMax: TENANTS_MAX });
  onForget((tenantId) => tenants.delete(tenantId));

  function ofTenant(tenantId: TenantId): WeakMap<Buffer, Secret<string>> {
    const known = tenants.get(tenantId);
    if (known) return known;
    const made = new WeakMap<Buffer, Secret<string>>();
    tenants.put(tenantId, made);
    return made;
  }

  return {
    find: (tenantId, envelope) => tenants.get(tenantId)?.get(envelope),
    begin(tenantId) {
      // A key that leaves takes the map along: what comes later goes into one that nobody asks.
      const values = ofTenant(tenantId);
      return (envelope, text) => void values.set(envelope, text);
    },
  };
}
