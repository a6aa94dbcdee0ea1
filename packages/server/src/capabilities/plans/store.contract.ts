import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { UniqueViolation } from '../../platform/storage/database.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { createPlansStore, type PlansStore } from './store.js';
import { migrations } from './tables.js';

const ACME = 'acme' as TenantId;
const GLOBEX = 'globex' as TenantId;

export function describePlansStore(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let store: PlansStore;
  beforeAll(async () => {
    db = await open(migrations);
    store = createPlansStore(db);
  });
  afterAll(() => db.cleanup());

  it('adds operations to a month of a tenant, and to no other', async () => {
    const add = (tenantId: TenantId, month: number, count: number) =>
      db.transaction((tx) => store.addOperations(tx, tenantId, month, count, 1));
    expect(await store.operations(ACME, 202601)).toBe(0);
    expect([await add(ACME, 202601, 3), await add(ACME, 202601, 4)]).toEqual([3, 7]);
    await add(ACME, 202602, 1);
    await add(GLOBEX, 202601, 100);
    expect(await store.operations(ACME, 202601)).toBe(7);
  });

  it('loses nothing between two writers', async () => {
    const adds = Array.from({ length: 20 }, () =>
      db.transaction((tx) => store.addOperations(tx, ACME, 202603, 1, 1)),
    );
    await Promise.all(adds);
    expect(await store.operations(ACME, 202603)).toBe(20);
  });

  it('knows a batch that was written, once', async () => {
    await db.transaction((tx) => store.markBatch(tx, 'one', 1, null));
    expect(await store.hasBatch('one')).toBe(true);
    await expect(db.transaction((tx) => store.markBatch(tx, 'one', 1, null))).rejects.toBeInstanceOf(
      UniqueViolation,
    );
    await db.transaction((tx) => store.markBatch(tx, 'two', 2, 'one'));
    expect([await store.hasBatch('one'), await store.hasBatch('two')]).toEqual([false, true]);
    await store.removeOldBatches(3);
    expect(await store.hasBatch('two')).toBe(false);
  });

  it('keeps the dates of a subscription', async () => {
    const none = { trialStartAtMs: null, trialEndAtMs: null, cancelledAtMs: null };
    expect(await store.subscriptionDates(ACME)).toEqual(none);
    for (const dates of [{ trialStartAtMs: 1, trialEndAtMs: 2, cancelledAtMs: null }, none]) {
      await db.transaction((tx) => store.setSubscriptionDates(tx, ACME, dates));
      expect(await store.subscriptionDates(ACME)).toEqual(dates);
    }
    expect(await store.subscriptionDates(GLOBEX)).toEqual(none);
  });
}
