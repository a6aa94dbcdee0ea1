import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { UniqueViolation } from '../../platform/storage/database.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { type Claim, createIdempotencyStore, type IdempotencyStore, type StoredAnswer } from './store.js';
import { migrations } from './tables.js';

export function idempotencyStoreContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let store: IdempotencyStore;
  beforeAll(async () => {
    db = await open(migrations);
    store = createIdempotencyStore(db);
  });
  afterAll(() => db.cleanup());

  const live: Scope = { tenantId: 'tenant-a' as TenantId, sandbox: false };
  const strangers: Scope[] = [
    { ...live, sandbox: true },
    { ...live, tenantId: 'tenant-b' as TenantId },
  ];
  const head = (id: string) => ({
    id,
    keyEnvelope: Buffer.from('envelope'),
    requestHash: Buffer.from('hash'),
    expiresAtMs: 10_000,
  });
  const claimOf = (id: string, more: Partial<Claim> = {}): Claim => ({
    ...head(id),
    owner: 'first',
    leaseUntilMs: 1_000,
    intentId: null,
    ...more,
  });
  const answerOf = (id: string, more: Partial<StoredAnswer> = {}): StoredAnswer => ({
    ...head(id),
    status: 201,
    sealedBody: Buffer.from('sealed'),
    requestId: 'request',
    ...more,
  });
  const claim = (id: string, more: Partial<Claim> = {}, scope = live) =>
    db.commitInserts([store.claimInsertion(scope, claimOf(id, more))]);
  const answer = (id: string, more: Partial<StoredAnswer> = {}) =>
    db.commitInserts([store.answerInsertion(live, answerOf(id, more))]);

  it('reads back claim and answer, in their scope only', async () => {
    await claim('read');
    expect(await store.find(live, 'read')).toEqual({ claim: claimOf('read'), answer: undefined });
    await db.transaction((tx) => store.insertAnswer(tx, live, answerOf('read')));
    expect(await store.find(live, 'read')).toEqual({ claim: claimOf('read'), answer: answerOf('read') });
    for (const scope of strangers)
      expect(await store.find(scope, 'read')).toEqual({ claim: undefined, answer: undefined });
  });

  it('lets one of two concurrent claims in, and one of two answers by either road', async () => {
    const claims = await Promise.allSettled([claim('raced', { owner: 'a' }), claim('raced', { owner: 'b' })]);
    const answers = await Promise.allSettled([
      answer('raced'),
      db.transaction((tx) => store.insertAnswer(tx, live, answerOf('raced'))),
    ]);
    for (const outcomes of [claims, answers]) {
      const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
      expect(refused).toHaveLength(1);
      expect(refused[0]?.reason).toBeInstanceOf(UniqueViolation);
      expect(refused[0]?.reason.table).toBe('idempotency_records');
    }
    for (const scope of strangers) await claim('raced', {}, scope);
  });

  it('lets one of two concurrent take-overs win, and none of a lease renewed meanwhile', async () => {
    await claim('taken');
    const from = claimOf('taken');
    const tries = ['a', 'b'].map((owner) =>
      store.takeOver(live, from, { ...from, owner, leaseUntilMs: 2_000 }),
    );
    expect((await Promise.all(tries)).filter(Boolean)).toHaveLength(1);
    const { owner, leaseUntilMs } = (await store.find(live, 'taken')).claim as Claim;
    expect([['a', 'b'].includes(owner), leaseUntilMs]).toEqual([true, 2_000]);

    await claim('renewed');
    await store.renew(live, 'renewed', 'first', 5_000);
    const late = claimOf('renewed');
    expect(await store.takeOver(live, late, { ...late, owner: 'late' })).toBe(false);
    await store.renew(live, 'renewed', 'not the owner', 9_000);
    expect((await store.find(live, 'renewed')).claim).toMatchObject({ owner: 'first', leaseUntilMs: 5_000 });
  });

  it('keeps an intent of the owner alone', async () => {
    await claim('intent');
    const set = (owner: string, scope = live) =>
      db.transaction((tx) => store.setIntent(tx, scope, 'intent', owner, 'lease-7'));
    expect(await set('another')).toBe(false);
    for (const scope of strangers) expect(await set('first', scope)).toBe(false);
    expect((await store.find(live, 'intent')).claim?.intentId).toBeNull();
    expect(await set('first')).toBe(true);
    expect((await store.find(live, 'intent')).claim?.intentId).toBe('lease-7');
  });

  it('releases a claim: gone without an intent, free for the next try with one; another owner releases nothing', async () => {
    await claim('plain');
    await claim('begun');
    await db.transaction((tx) => store.setIntent(tx, live, 'begun', 'first', 'lease-7'));
    await store.release(live, 'plain', 'another', 500);
    expect((await store.find(live, 'plain')).claim).toEqual(claimOf('plain'));
    await store.release(live, 'plain', 'first', 500);
    await store.release(live, 'begun', 'first', 500);
    expect((await store.find(live, 'plain')).claim).toBeUndefined();
    expect((await store.find(live, 'begun')).claim).toEqual(
      claimOf('begun', { leaseUntilMs: 500, intentId: 'lease-7' }),
    );
  });

  it('removes what has expired in bounded batches, of all tenants, and nothing else', async () => {
    const at = { expiresAtMs: 100 };
    for (const scope of [live, ...strangers]) {
      await claim(`old-${scope.tenantId}-${scope.sandbox}`, at, scope);
    }
    await answer('old-tenant-a-false', at);
    await claim('fresh', { expiresAtMs: 101 });
    await store.deleteIfExpired(live, 'fresh', 100);
    const batches = [];
    for (let i = 0; i < 3; i++) batches.push(await store.deleteExpired(100, 2));
    expect(batches).toEqual([2, 1, 0]);
    expect(await store.find(live, 'old-tenant-a-false')).toEqual({ claim: undefined, answer: undefined });
    expect((await store.find(live, 'fresh')).claim).toBeDefined();
    await store.deleteIfExpired(live, 'fresh', 101);
    expect((await store.find(live, 'fresh')).claim).toBeUndefined();
  });
}
