import { afterEach, describe, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { migrations } from './index.js';
import { createEgressAllowlistStore } from './store.js';

const LIVE: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId, sandbox: false };
const OTHERS: readonly Scope[] = [
  { ...LIVE, sandbox: true },
  { tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId, sandbox: false },
];

forEachDatabase((_name, openDatabase) => {
  let db: TestDatabase;
  afterEach(() => db.cleanup());

  describe('egress allowlist store', () => {
    it('keeps one list a tenant and mode, replaced as a whole', async () => {
      db = await openDatabase(migrations);
      const store = createEgressAllowlistStore(db);
      expect(await store.hosts(LIVE)).toEqual([]);
      await db.transaction((tx) => store.replace(tx, LIVE, ['a.example.com', 'b.example.com'], 1));
      await db.transaction((tx) => store.replace(tx, LIVE, ['*.example.org'], 2));
      expect(await store.hosts(LIVE)).toEqual(['*.example.org']);
      for (const scope of OTHERS) {
        expect(await store.hosts(scope)).toEqual([]);
        await db.transaction((tx) => store.replace(tx, scope, [], 3));
      }
      expect(await store.hosts(LIVE)).toEqual(['*.example.org']);
    });
  });
});
