import { beforeEach, describe, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Database } from '../../platform/storage/database.js';
import { createExchangeStore, type ExchangeStore } from './exchange/store.js';
import {
  type BindingListOptions,
  createOidcBindingStore,
  type OidcBinding,
  type OidcBindingStore,
} from './store.js';

const LIVE: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId, sandbox: false };
const TEST: Scope = { ...LIVE, sandbox: true };
const FOREIGN: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId, sandbox: false };
const NOW = 1_700_000_000_000;
const [ANCHOR, OTHER_ANCHOR] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];

const uuid = (n: number) => `bbbbbbbb-0000-4000-8000-${String(n).padStart(12, '0')}`;

function binding(n: number, more: Partial<OidcBinding> = {}): OidcBinding {
  return {
    id: uuid(n),
    name: `binding ${n}`,
    provider: 'github_actions',
    issuer: 'https://token.actions.githubusercontent.com',
    audiences: ['knoxcall:api'],
    subject: 'repo:acme/shop:*',
    claims: {},
    access: { scopes: ['vaults:read'] },
    ttlSeconds: 3_600,
    enabled: true,
    lastUsedAtMs: null,
    createdAtMs: n,
    updatedAtMs: n,
    ...more,
  };
}

export function oidcBindingStoreContract(open: () => Promise<Database>): void {
  let db: Database;
  let store: OidcBindingStore;
  let exchanges: ExchangeStore;
  const add = (scope: Scope, row: OidcBinding, anchors: readonly Buffer[] = [ANCHOR]) =>
    db.transaction((tx) => store.insert(tx, scope, row, anchors));
  const remove = (scope: Scope, id: string, atMs: number) =>
    db.transaction((tx) => store.delete(tx, scope, id, atMs));

  beforeEach(async () => {
    db = await open();
    store = createOidcBindingStore(db);
    exchanges = createExchangeStore(db);
  });

  describe('bindings', () => {
    it('come back as they were stored', async () => {
      const row = binding(1, {
        subject: null,
        claims: { 'oidc.circleci.com/project-id': ['é 💳', 'b'] },
        access: { roleIds: [uuid(9)] },
        enabled: false,
        lastUsedAtMs: 5,
      });
      await add(LIVE, row);
      expect(await store.find(LIVE, row.id.toUpperCase())).toEqual(row);
    });

    it('of another scope are not shown, counted, changed or deleted', async () => {
      await add(LIVE, binding(1));
      for (const scope of [TEST, FOREIGN]) {
        expect(await store.find(scope, uuid(1))).toBeUndefined();
        expect(await store.count(scope)).toBe(0);
        expect(await store.listOfIssuer(scope, binding(1).issuer)).toEqual([]);
        await db.transaction((tx) => store.update(tx, scope, binding(1, { name: 'theirs' }), []));
        await db.transaction((tx) => store.setLastUsed(tx, scope, uuid(1), 9));
        await remove(scope, uuid(1), NOW);
      }
      expect(await store.listOfIssuer(LIVE, binding(1).issuer)).toEqual([binding(1)]);
      expect(await exchanges.findByAnchors(false, [ANCHOR], NOW, 9)).toHaveLength(1);
    });

    it('are listed in pages', async () => {
      for (const [n, name] of [
        [1, 'c'],
        [2, 'a'],
        [3, 'b'],
      ] as const)
        await add(LIVE, binding(n, { name }));
      const names = async (options: Partial<BindingListOptions>) => {
        const rows = await store.list(LIVE, {
          page: 1,
          perPage: 2,
          sort: 'created_at',
          order: 'desc',
          ...options,
        });
        return rows.map((row) => row.name);
      };
      expect(await names({})).toEqual(['b', 'a']);
      expect(await names({ sort: 'name', order: 'asc', page: 2 })).toEqual(['c']);
    });

    it('that are deleted are no bindings, and still count for 90 days', async () => {
      await add(LIVE, binding(1));
      await remove(LIVE, uuid(1), NOW);
      expect(await store.find(LIVE, uuid(1))).toBeUndefined();
      expect(await store.list(LIVE, { page: 1, perPage: 9, sort: 'name', order: 'asc' })).toEqual([]);
      expect(await store.listOfIssuer(LIVE, binding(1).issuer)).toEqual([]);
      expect(await store.count(LIVE)).toBe(0);
      expect(await db.transaction((tx) => store.countKept(LIVE, tx))).toBe(1);
      const found = (atMs: number) => exchanges.findByAnchors(false, [ANCHOR], atMs, 9);
      expect((await found(NOW + LIMITS.oidcBindingKeptMs - 1)).map(({ tenantId }) => tenantId)).toEqual([
        LIVE.tenantId,
      ]);
      expect(await found(NOW + LIMITS.oidcBindingKeptMs)).toEqual([]);
    });
  });

  describe('what is asked of the whole installation', () => {
    it('finds the bindings of all tenants by any of their anchors, in one mode, and by no former one', async () => {
      await add(LIVE, binding(1), [ANCHOR, OTHER_ANCHOR]);
      await add(FOREIGN, binding(2, { enabled: false }));
      await add(TEST, binding(3));
      const found = async (...anchors: Buffer[]) =>
        (await exchanges.findByAnchors(false, anchors, NOW, 9))
          .map(({ id, tenantId }) => [id, tenantId])
          .sort();
      expect(await found(ANCHOR)).toEqual([
        [uuid(1), LIVE.tenantId],
        [uuid(2), FOREIGN.tenantId],
      ]);
      expect(await found(OTHER_ANCHOR, Buffer.alloc(32, 3))).toEqual([[uuid(1), LIVE.tenantId]]);
      await db.transaction((tx) => store.update(tx, LIVE, binding(1), [OTHER_ANCHOR]));
      expect(await found(ANCHOR)).toEqual([[uuid(2), FOREIGN.tenantId]]);
      expect(await exchanges.findByAnchors(false, [ANCHOR, OTHER_ANCHOR], NOW, 1)).toHaveLength(1);
    });

    it('spends an assertion once, also when many come at once', async () => {
      const spend = () => db.transaction((tx) => exchanges.spend(tx, ANCHOR, NOW));
      const outcomes = await Promise.all(Array.from({ length: 8 }, spend));
      expect(outcomes.filter(Boolean)).toHaveLength(1);
      expect(await db.transaction((tx) => exchanges.spend(tx, OTHER_ANCHOR, NOW))).toBe(true);
    });

    it('a subject stays with the tenant that claimed it first', async () => {
      const claim = (tenantId: TenantId) =>
        db.transaction((tx) => exchanges.claimSubject(tx, ANCHOR, tenantId, NOW));
      expect(await exchanges.claimant(ANCHOR)).toBeNull();
      await claim(LIVE.tenantId);
      await claim(FOREIGN.tenantId);
      expect(await exchanges.claimant(ANCHOR)).toBe(LIVE.tenantId);
      expect(await exchanges.claimant(OTHER_ANCHOR)).toBeNull();
    });

    it('forgets what has ended, in batches, and nothing else', async () => {
      await db.transaction(async (tx) => {
        for (let n = 0; n < 5; n++) await exchanges.spend(tx, Buffer.alloc(32, n), NOW + n);
      });
      const spent = (nowMs: number) => db.transaction((tx) => exchanges.removeSpent(tx, nowMs, 2));
      expect([await spent(NOW + 2), await spent(NOW + 2), await spent(NOW + 2)]).toEqual([2, 1, 0]);
      expect(await db.transaction((tx) => exchanges.spend(tx, Buffer.alloc(32, 3), NOW))).toBe(false);

      for (const n of [1, 2, 3, 4]) await add(n === 4 ? FOREIGN : LIVE, binding(n));
      for (const n of [1, 2, 4]) await remove(n === 4 ? FOREIGN : LIVE, uuid(n), NOW);
      const later = NOW + LIMITS.oidcBindingKeptMs;
      const removed = (nowMs: number) => db.transaction((tx) => exchanges.removeDeleted(tx, nowMs, 2));
      expect([
        await removed(later - 1),
        await removed(later),
        await removed(later),
        await removed(later),
      ]).toEqual([0, 2, 1, 0]);
      expect(await db.transaction((tx) => store.countKept(LIVE, tx))).toBe(1);
      expect(await exchanges.findByAnchors(false, [ANCHOR], NOW, 9)).toHaveLength(1);
    });
  });
}
