import type { TenantColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { plansMigration } from './migrations/0016-plans.js';

interface UsageCountersTable extends TenantColumns {
  /** Of UTC, as 202601. */
  month: number;
  operations: number;
  updated_at: number;
}

interface UsageBatchesTable {
  id: string;
  created_at: number;
}

/** Dates of a subscription; plan and status stand with the tenant. */
interface SubscriptionsTable extends TenantColumns {
  trial_start_at: number | null;
  trial_end_at: number | null;
  cancelled_at: number | null;
}

export interface PlansTables {
  usage_counters: UsageCountersTable;
  usage_batches: UsageBatchesTable;
  subscriptions: SubscriptionsTable;
}

export const plansTables: TableSet<PlansTables> = {
  usage_counters: { scope: 'tenant' },
  usage_batches: { scope: 'system' },
  subscriptions: { scope: 'tenant' },
};

export const migrations: readonly Migration[] = [plansMigration];
