import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import {
  createInboundDeliveryStore,
  type FullTargets,
  type InboundDelivery,
  type InboundDeliveryStore,
  ON_THEIR_WAY,
} from './deliveries/store.js';
import { createInboundWebhookStore, type InboundWebhookStore } from './store.js';
import { migrations } from './tables.js';

const LIVE: Scope = { tenantId: 'tenant-a' as TenantId, sandbox: false };
const SANDBOX: Scope = { ...LIVE, sandbox: true };
const OTHER: Scope = { tenantId: 'tenant-b' as TenantId, sandbox: false };
const T0 = 1_000_000;
const WEBHOOK = {
  description: null,
  format: 'github',
  headerName: null,
  hmacKeyId: null,
  secretEnvelope: null,
  toleranceSeconds: 300,
  targetUrl: null,
  routeId: 'route',
  routeEnvironment: null,
  maxRetries: 3,
  enabled: true,
  createdAtMs: T0,
  updatedAtMs: T0,
} as const;
const DELIVERY: InboundDelivery = {
  id: '',
  scope: LIVE,
  webhookId: 'on',
  state: 'waiting',
  dueAtMs: T0,
  attempts: 0,
  method: 'POST',
  bytes: 2,
  sourceIp: null,
  lastStatus: null,
  lastError: null,
  lastRequestId: null,
  createdAtMs: T0,
  updatedAtMs: T0,
};

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

  it('takes a request together with what commits along, or neither', async () => {
    const broken = async () => {
      throw new Error('no room');
    };
    await expect(store.take(LIVE, 'k', T0 + 10, T0, broken)).rejects.toThrow('no room');
    let along = 0;
    const count = async () => void along++;
    expect(await store.take(LIVE, 'k', T0 + 10, T0, count)).toBe(true);
    expect(await store.take(LIVE, 'k', T0 + 10, T0, count)).toBe(false);
    expect(along).toBe(1);
  });

  describe('deliveries', () => {
    let deliveries: InboundDeliveryStore;
    beforeEach(async () => {
      deliveries = createInboundDeliveryStore(db);
      for (const [scope, id, more] of [
        [LIVE, 'on', {}],
        [LIVE, 'off', { enabled: false }],
        [OTHER, 'foreign', {}],
      ] as const)
        await db.transaction((tx) => store.insert(tx, { ...WEBHOOK, ...more, scope, id, name: id }));
    });
    const add = (one: Partial<InboundDelivery> & { id: string }) =>
      db.transaction((tx) =>
        deliveries.insert(tx, { ...DELIVERY, ...one }, { contentEnvelope: Buffer.from(`of ${one.id}`) }),
      );
    const none = { webhooks: [], tenants: [] };
    const dueIds = async (full: FullTargets = none, limit = 10) =>
      (await deliveries.listDue(T0, full, limit)).map(({ id }) => id);

    it('come back as they were stored, in their mode and tenant alone', async () => {
      await add({ id: 'a', lastStatus: 500, lastError: 'no', lastRequestId: 'r', sourceIp: '192.0.2.1' });
      const stored = {
        ...DELIVERY,
        id: 'a',
        lastStatus: 500,
        lastError: 'no',
        lastRequestId: 'r',
        sourceIp: '192.0.2.1',
      };
      expect(await deliveries.find(LIVE, 'a')).toEqual(stored);
      expect((await deliveries.content(LIVE, 'a'))?.toString()).toBe('of a');
      for (const scope of [SANDBOX, OTHER]) {
        expect(await deliveries.find(scope, 'a')).toBeUndefined();
        expect(await deliveries.content(scope, 'a')).toBeUndefined();
        expect(await deliveries.count(scope, 'on')).toBe(0);
      }
    });

    it('are due in order of time, of webhooks that are on and have places', async () => {
      await add({ id: 'later', dueAtMs: T0 + 1 });
      await add({ id: 'second', dueAtMs: T0 });
      await add({ id: 'first', dueAtMs: T0 - 5 });
      await add({ id: 'resting', webhookId: 'off' });
      await add({ id: 'sent', state: 'sending', dueAtMs: null });
      await add({ id: 'given-up', state: 'dead', dueAtMs: null });
      await add({ id: 'foreign', scope: OTHER, webhookId: 'foreign', dueAtMs: T0 - 1 });
      expect(await dueIds()).toEqual(['first', 'foreign', 'second']);
      expect(await dueIds(none, 1)).toEqual(['first']);
      expect(await dueIds({ webhooks: ['on'], tenants: [] })).toEqual(['foreign']);
      expect(await dueIds({ webhooks: [], tenants: [OTHER.tenantId] })).toEqual(['first', 'second']);
      expect(await deliveries.nextDueAtMs()).toBe(T0 - 5);
      expect((await deliveries.listSending(10)).map(({ id }) => id)).toEqual(['sent']);
    });

    it('count what is on its way, not what was given up', async () => {
      await add({ id: 'a', bytes: 3 });
      await add({ id: 'b', bytes: 4, state: 'sending' });
      await add({ id: 'c', bytes: 5, state: 'dead' });
      const of = (scope: Scope) => db.transaction((tx) => deliveries.totals(tx, scope, 'on', ON_THEIR_WAY));
      expect([await of(LIVE), await of(OTHER)]).toEqual([
        { count: 2, bytes: 7 },
        { count: 0, bytes: 0 },
      ]);
      expect(await db.transaction((tx) => deliveries.totals(tx, LIVE, 'on', ['dead']))).toMatchObject({
        count: 1,
      });
    });

    it('leave by age, but for those that are being sent, and with their webhook', async () => {
      await add({ id: 'old' });
      await add({ id: 'old-dead', state: 'dead' });
      await add({ id: 'old-sending', state: 'sending' });
      await add({ id: 'new', createdAtMs: T0 + 5 });
      expect(await deliveries.removeOlder(T0 + 5, 1)).toBe(1);
      expect(await deliveries.removeOlder(T0 + 5, 10)).toBe(1);
      await db.transaction((tx) => deliveries.deleteOf(tx, OTHER, 'on'));
      const page = { page: 1, perPage: 10, order: 'asc' } as const;
      expect((await deliveries.list(LIVE, 'on', page)).map(({ id }) => id)).toEqual(['old-sending', 'new']);
      await db.transaction((tx) => deliveries.deleteOf(tx, LIVE, 'on'));
      expect(await deliveries.count(LIVE, 'on')).toBe(0);
    });
  });
}
