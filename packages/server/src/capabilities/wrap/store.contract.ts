import { afterEach, describe, expect, it } from 'vitest';
import type { Scope, TenantId, WrapTokenId } from '../../kernel/ids.js';
import type { Transaction } from '../../platform/storage/database.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { migrations as secretMigrations } from '../secrets/index.js';
import type { Observation } from './observations/judging.js';
import { createObservationStore, kindOf } from './observations/store.js';
import { createWrapStore, type NewWrapToken } from './store.js';
import { migrations } from './tables.js';

const LIVE: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId, sandbox: false };
const OTHERS: readonly Scope[] = [
  { ...LIVE, sandbox: true },
  { tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId, sandbox: false },
];
const ID = 'bbbbbbbb-0000-4000-8000-000000000001' as WrapTokenId;
const TOKEN: NewWrapToken = {
  id: ID,
  hash: Buffer.alloc(32, 1),
  secretId: 'cccccccc-0000-4000-8000-000000000001',
  host: 'api.example.com',
  label: 'ci',
  dnsLabel: null,
  createdBy: 'dddddddd-0000-4000-8000-000000000001',
  createdAtMs: 1,
  expiresAtMs: 100,
};
const OBSERVED: Observation = {
  host: 'api.example.com',
  firstSegment: 'v1',
  method: 'POST',
  headerName: 'authorization',
  count: 1,
  firstSeenMs: 1,
  lastSeenMs: 2,
};

/** Tokens and observations. */
export function describeWrapStore(openDatabase: OpenTestDatabase): void {
  let db: TestDatabase;
  afterEach(() => db.cleanup());
  const open = async () => {
    db = await openDatabase([...secretMigrations, ...migrations]);
    return createWrapStore(db);
  };
  const inTx = <T>(run: (tx: Transaction) => Promise<T>) => db.transaction(run);

  describe('wrap token store', () => {
    it('finds a token by its hash whosever it is, and by its id in its tenant and mode alone', async () => {
      const store = await open();
      await inTx((tx) => store.insert(tx, LIVE, TOKEN));
      expect(await store.findByHash(TOKEN.hash)).toEqual({
        id: ID,
        scope: LIVE,
        hash: TOKEN.hash,
        secretId: TOKEN.secretId,
        host: TOKEN.host,
        dnsLabel: null,
        endsAtMs: 100,
        provider: undefined,
      });
      expect(await store.findByHash(Buffer.alloc(32, 2))).toBeUndefined();
      for (const scope of OTHERS) {
        expect(await inTx((tx) => store.find(tx, scope, ID))).toBeUndefined();
        expect(await store.list(scope)).toEqual([]);
        expect(await inTx((tx) => store.countLive(tx, scope, 1))).toBe(0);
        await inTx((tx) => store.revoke(tx, scope, TOKEN, 5));
        await inTx((tx) => store.removeSecret(tx, scope, TOKEN.secretId, 5));
        await inTx((tx) => store.setLastUsed(tx, scope, ID, 5));
      }
      const { hash: _, createdBy: __, ...shown } = TOKEN;
      expect(await store.list(LIVE)).toEqual([{ ...shown, revokedAtMs: null, lastUsedAtMs: null }]);
    });

    it('ends at its end, or when it is revoked, the first time', async () => {
      const store = await open();
      await inTx((tx) => store.insert(tx, LIVE, TOKEN));
      const live = (nowMs: number) => inTx((tx) => store.countLive(tx, LIVE, nowMs));
      expect([await live(99), await live(100)]).toEqual([1, 0]);
      await inTx((tx) => store.revoke(tx, LIVE, TOKEN, 50));
      await inTx((tx) => store.revoke(tx, LIVE, TOKEN, 60));
      expect(await live(50)).toBe(0);
      expect((await store.findByHash(TOKEN.hash))?.endsAtMs).toBe(50);
      expect((await store.list(LIVE))[0]).toMatchObject({ revokedAtMs: 50, expiresAtMs: 100 });
    });

    it('moves the last use forward alone', async () => {
      const store = await open();
      await inTx((tx) => store.insert(tx, LIVE, TOKEN));
      for (const atMs of [20, 10]) await inTx((tx) => store.setLastUsed(tx, LIVE, ID, atMs));
      expect((await store.list(LIVE))[0]?.lastUsedAtMs).toBe(20);
    });

    it('lets a secret go with its tokens, and ended rows in bounded batches', async () => {
      const store = await open();
      const second = { ...TOKEN, id: ID.replace('b', 'a') as WrapTokenId, hash: Buffer.alloc(32, 2) };
      await inTx(async (tx) => {
        await store.insert(tx, LIVE, TOKEN);
        await store.insert(tx, LIVE, { ...second, secretId: ID });
      });
      await inTx((tx) => store.removeSecret(tx, LIVE, TOKEN.secretId, 40));
      expect((await store.findByHash(TOKEN.hash))?.endsAtMs).toBe(40);
      expect((await store.findByHash(second.hash))?.endsAtMs).toBe(100);
      expect(await inTx((tx) => store.removeEnded(tx, 39, 10))).toBe(0);
      expect(await inTx((tx) => store.removeEnded(tx, 100, 1))).toBe(1);
      expect(await store.findByHash(TOKEN.hash)).toBeUndefined();
      expect(await store.findByHash(second.hash)).toBeDefined();
    });
  });

  describe('observation store', () => {
    it('keeps kinds of calls of a tenant and mode, and lets old ones go', async () => {
      await open();
      const store = createObservationStore(db);
      const id = kindOf('sdk/1', OBSERVED);
      const kept = { ...OBSERVED, sdk: 'sdk/1', reportedAtMs: 10 };
      await inTx((tx) => store.insert(tx, LIVE, id, kept));
      await inTx((tx) => store.update(tx, LIVE, id, { ...kept, count: 2 ** 40, reportedAtMs: 11 }));
      expect(await store.list(LIVE)).toEqual([{ ...kept, count: 2 ** 40, reportedAtMs: 11 }]);
      expect((await inTx((tx) => store.kept(tx, LIVE, [id, 'x']))).size).toBe(1);
      for (const scope of OTHERS) {
        expect(await store.list(scope)).toEqual([]);
        expect((await inTx((tx) => store.kept(tx, scope, [id]))).size).toBe(0);
        expect(await inTx((tx) => store.count(tx, scope))).toBe(0);
      }
      expect(await inTx((tx) => store.removeOld(tx, 10, 5))).toBe(0);
      expect(await inTx((tx) => store.removeOld(tx, 11, 5))).toBe(1);
      expect(await store.list(LIVE)).toEqual([]);
    });
  });
}
