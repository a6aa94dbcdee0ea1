import { beforeEach, describe, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { Database } from '../../platform/storage/database.js';
import {
  createRedactionStore,
  type RedactionRule,
  type RedactionStore,
  type RuleListOptions,
} from './store.js';

const LIVE: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId, sandbox: false };
const TEST: Scope = { ...LIVE, sandbox: true };
const FOREIGN: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId, sandbox: false };

const uuid = (n: number) => `bbbbbbbb-0000-4000-8000-${String(n).padStart(12, '0')}`;

function rule(n: number, more: Partial<RedactionRule> = {}): RedactionRule {
  return {
    id: uuid(n),
    name: `rule ${n}`,
    enabled: true,
    target: 'response',
    match: { type: 'builtin', value: 'pan' },
    contentTypes: null,
    routeIds: null,
    proxyModes: null,
    replacement: '[REDACTED]',
    action: 'mask',
    priority: 100,
    createdAtMs: n,
    updatedAtMs: n,
    ...more,
  };
}

export function redactionStoreContract(open: () => Promise<Database>): void {
  let db: Database;
  let store: RedactionStore;
  const add = (scope: Scope, row: RedactionRule) => db.transaction((tx) => store.insert(tx, scope, row));

  beforeEach(async () => {
    db = await open();
    store = createRedactionStore(db);
  });

  it('names the rules of a route, in their mode alone', async () => {
    await add(LIVE, rule(1, { routeIds: [uuid(901), uuid(902)] }));
    await add(LIVE, rule(2, { routeIds: [uuid(902)] }));
    await add(LIVE, rule(3));
    await add(LIVE, rule(4, { routeIds: [] }));
    await add(TEST, rule(5, { routeIds: [uuid(901)] }));
    const of = (scope: Scope, id: string) => db.transaction((tx) => store.idsNaming(tx, scope, id));
    expect(await of(LIVE, uuid(901))).toEqual([uuid(1)]);
    expect(await of(LIVE, uuid(902))).toEqual([uuid(1), uuid(2)]);
    expect(await of(FOREIGN, uuid(901))).toEqual([]);
  });

  describe('rules', () => {
    it('come back as they were stored', async () => {
      const row = rule(1, {
        match: { type: 'json_path', value: "$..['é 💳']" },
        contentTypes: ['application/json', 'text/*'],
        proxyModes: ['ephemeral'],
        routeIds: [uuid(901), uuid(902)],
        enabled: false,
        target: 'both',
        replacement: '•',
        action: 'partial_last4',
        priority: 0,
      });
      await add(LIVE, row);
      expect(await store.find(LIVE, row.id.toUpperCase())).toEqual(row);
    });

    it('of another scope are not shown, counted, changed or deleted', async () => {
      await add(LIVE, rule(1));
      for (const scope of [TEST, FOREIGN]) {
        expect(await store.find(scope, uuid(1))).toBeUndefined();
        expect(await store.count(scope)).toBe(0);
        expect(await store.listEnabled(scope)).toEqual([]);
        await db.transaction((tx) => store.update(tx, scope, rule(1, { enabled: false })));
        await db.transaction((tx) => store.delete(tx, scope, uuid(1)));
      }
      expect(await store.listEnabled(LIVE)).toEqual([rule(1)]);
    });

    it('are changed and deleted', async () => {
      await add(LIVE, rule(1));
      const changed = rule(1, { name: 'new', match: { type: 'header', value: 'X-A' }, updatedAtMs: 9 });
      await db.transaction((tx) => store.update(tx, LIVE, changed));
      expect(await store.find(LIVE, uuid(1))).toEqual(changed);
      await db.transaction((tx) => store.delete(tx, LIVE, uuid(1)));
      expect(await store.count(LIVE)).toBe(0);
    });

    it('are listed in pages, and in their order of decision', async () => {
      await add(LIVE, rule(3, { priority: 5, name: 'c' }));
      await add(LIVE, rule(1, { priority: 5, name: 'b' }));
      await add(LIVE, rule(2, { priority: 1, name: 'a' }));
      await add(LIVE, rule(4, { priority: 0, name: 'd', enabled: false }));
      const names = async (options: Partial<RuleListOptions>) => {
        const rows = await store.list(LIVE, {
          page: 1,
          perPage: 2,
          sort: 'created_at',
          order: 'desc',
          ...options,
        });
        return rows.map((row) => row.name);
      };
      expect(await names({})).toEqual(['d', 'c']);
      expect(await names({ sort: 'name', order: 'asc', page: 2 })).toEqual(['c', 'd']);
      expect(await names({ sort: 'priority', order: 'asc' })).toEqual(['d', 'a']);
      expect((await store.listEnabled(LIVE)).map((row) => row.name)).toEqual(['a', 'b', 'c']);
    });
  });
}
