import type { TenantId } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { plansTables } from './tables.js';

export interface SubscriptionDates {
  readonly trialStartAtMs: number | null;
  readonly trialEndAtMs: number | null;
  readonly cancelledAtMs: number | null;
}

export type PlansStore = ReturnType<typeof createPlansStore>;

const NO_DATES: SubscriptionDates = { trialStartAtMs: null, trialEndAtMs: null, cancelledAtMs: null };

export function createPlansStore(db: Database) {
  const view = db.view(plansTables);
  const operationsOf = view.define<{ month: number }, { operations: number }>(
    'plans_operations_of_month',
    (queries, arg) =>
      queries.selectFrom('usage_counters').select('operations').where('month', '=', arg('month')),
  );

  return {
    async operations(tenantId: TenantId, month: number): Promise<number> {
      return (await operationsOf.first({ tenantId }, { month }))?.operations ?? 0;
    },

    /** The count of the month afterwards. */
    async addOperations(
      tx: Transaction,
      tenantId: TenantId,
      month: number,
      count: number,
      nowMs: number,
    ): Promise<number> {
      const row = await view
        .scoped({ tenantId }, tx)
        .insertInto('usage_counters')
        .values({ month, operations: count, updated_at: nowMs })
        .onConflict((conflict) =>
          conflict.columns(['tenant_id', 'month']).doUpdateSet((eb) => ({
            operations: eb('usage_counters.operations', '+', count),
            updated_at: nowMs,
          })),
        )
        .returning('operations')
        .executeTakeFirstOrThrow();
      return row.operations;
    },

    async hasBatch(id: string): Promise<boolean> {
      const row = await view
        .system('usage')
        .selectFrom('usage_batches')
        .select('id')
        .where('id', '=', id)
        .executeTakeFirst();
      return row !== undefined;
    },

    /** Marks a batch as written; the marks of those before it are no longer asked for. */
    async markBatch(tx: Transaction, id: string, nowMs: number, before: string | null): Promise<void> {
      const queries = view.system('usage', tx);
      await queries.insertInto('usage_batches').values({ id, created_at: nowMs }).execute();
      if (before !== null) await queries.deleteFrom('usage_batches').where('id', '=', before).execute();
    },

    /** Of processes that ended without a stop. */
    async removeOldBatches(olderThanMs: number): Promise<void> {
      await view.system('usage').deleteFrom('usage_batches').where('created_at', '<', olderThanMs).execute();
    },

    async subscriptionDates(tenantId: TenantId, tx?: Transaction): Promise<SubscriptionDates> {
      const row = await view
        .scoped({ tenantId }, tx)
        .selectFrom('subscriptions')
        .select(['trial_start_at', 'trial_end_at', 'cancelled_at'])
        .executeTakeFirst();
      if (!row) return NO_DATES;
      return {
        trialStartAtMs: row.trial_start_at,
        trialEndAtMs: row.trial_end_at,
        cancelledAtMs: row.cancelled_at,
      };
    },

    async setSubscriptionDates(
      tx: Transaction,
      tenantId: TenantId,
      { trialStartAtMs, trialEndAtMs, cancelledAtMs }: SubscriptionDates,
    ): Promise<void> {
      const columns = {
        trial_start_at: trialStartAtMs,
        trial_end_at: trialEndAtMs,
        cancelled_at: cancelledAtMs,
      };
      await view
        .scoped({ tenantId }, tx)
        .insertInto('subscriptions')
        .values(columns)
        .onConflict((conflict) => conflict.column('tenant_id').doUpdateSet(columns))
        .execute();
    },
  };
}
