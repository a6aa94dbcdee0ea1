import type { Clock } from '../../../kernel/clock.js';
import type { TenantId } from '../../../kernel/ids.js';
import { createCountWindows } from '../../../platform/limits/count-windows.js';

/** So many refusals of a tenant are audited in a minute: anybody can send an assertion that is refused. */
const ROWS_MAX = 20;
const WINDOW_MS = 60_000;
const TENANTS_MAX = 1_000;

export interface DenialBudget {
  /** Whether one more refusal is to be written. */
  take(tenantId: TenantId): boolean;
}

export function createDenialBudget(clock: Clock): DenialBudget {
  const windowOf = createCountWindows(clock, { windowMs: WINDOW_MS, namesMax: TENANTS_MAX });
  return { take: (tenantId) => ++windowOf(tenantId).count <= ROWS_MAX };
}
