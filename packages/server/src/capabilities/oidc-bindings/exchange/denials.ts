import type { Clock } from '../../../kernel/clock.js';
import type { TenantId } from '../../../kernel/ids.js';
import { createLru } from '../../../platform/cache/lru.js';

/** So many refusals of a tenant are audited in a minute: anybody can send an assertion that is refused. */
const ROWS_MAX = 20;
const WINDOW_MS = 60_000;
const TENANTS_MAX = 1_000;

export interface DenialBudget {
  /** Whether one more refusal is to be written. */
  take(tenantId: TenantId): boolean;
}

export function createDenialBudget(clock: Clock): DenialBudget {
  const windows = createLru<TenantId, { readonly endsAtMs: number; rows: number }>({
    entriesMax: TENANTS_MAX,
  });
  return {
    take(tenantId) {
      const nowMs = clock.monotonicMs();
      const running = windows.get(tenantId);
      if (running && running.endsAtMs > nowMs) return ++running.rows <= ROWS_MAX;
      windows.put(tenantId, { endsAtMs: nowMs + WINDOW_MS, rows: 1 });
      return true;
    },
  };
}
