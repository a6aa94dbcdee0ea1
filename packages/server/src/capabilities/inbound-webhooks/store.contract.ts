import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { createInboundWebhookStore, type InboundWebhookStore } from './store.js';
import { migrations } from './tables.js';

const LIVE: Scope = { tenantId: 'tenant-a' as TenantId, sandbox: false };
const SANDBOX: Scope = { ...LIVE, sandbox: true };
const OTHER: Scope = { tenantId: 'tenant-b' as TenantId, sandbox: false };
const T0 = 1_000_000;

export function inboundWebhookStoreContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let store: InboundWebhookStore;
  beforeEach(async () => {
    db = await open(migrations);
    store = createInboundWebhookStore(db);
  });
  afterEach(() => db.cleanup());

  it('takes a request once in a tenant and mode, whoever asks at the same time', async () => {
    const second = createInboundWebhookStore(db);
    const taken = await Promise.all(
      Array.from({ length: 8 }, (_, n) => (n % 2 ? store : second).take(LIVE, 'k', T0 + 10, T0)),
    );
    expect(taken.filter(Boolean)).toHaveLength(1);
    expect(await store.take(SANDBOX, 'k', T0 + 10, T0)).toBe(true);
    expect(await store.take(OTHER, 'k', T0 + 10, T0)).toBe(true);
    expect(await store.take(LIVE, 'other', T0 + 10, T0)).toBe(true);
  });

  it('takes it anew once its time is over, or it was taken back', async () => {
    expect(await store.take(LIVE, 'k', T0 + 10, T0)).toBe(true);
    expect(await store.take(LIVE, 'k', T0 + 19, T0 + 9)).toBe(false);
    expect(await store.take(LIVE, 'k', T0 + 20, T0 + 10)).toBe(true);
    expect(await store.take(LIVE, 'k', T0 + 20, T0 + 10)).toBe(false);
    await store.release(OTHER, 'k');
    expect(await store.take(LIVE, 'k', T0 + 20, T0 + 11)).toBe(false);
    await store.release(LIVE, 'k');
    expect(await store.take(LIVE, 'k', T0 + 21, T0 + 11)).toBe(true);
  });

  it('forgets what is over in batches, and nothing else', async () => {
    for (let n = 0; n < 5; n++) await store.take(LIVE, `old-${n}`, T0 + n, T0 - 1);
    await store.take(LIVE, 'kept', T0 + 100, T0);
    expect([await store.removeExpired(T0 + 10, 3), await store.removeExpired(T0 + 10, 3)]).toEqual([3, 2]);
    expect(await store.removeExpired(T0 + 10, 3)).toBe(0);
    expect(await store.take(LIVE, 'kept', T0 + 100, T0)).toBe(false);
  });
}
