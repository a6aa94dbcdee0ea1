import { afterEach, describe, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { migrations } from './index.js';
import { createEgressServerStore, type StoredEgressServer } from './store.js';

const LIVE: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId, sandbox: false };
const OTHERS: readonly Scope[] = [
  { ...LIVE, sandbox: true },
  { tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId, sandbox: false },
];
const SERVER: StoredEgressServer = {
  id: 'bbbbbbbb-0000-4000-8000-000000000001',
  scope: LIVE,
  name: 'out',
  kind: 'socks5',
  address: 'proxy.example.com',
  port: 1_080,
  username: 'user',
  sealedPassword: Buffer.from('sealed'),
  failoverId: null,
  enabled: true,
  version: 1,
  createdAtMs: 1,
  updatedAtMs: 1,
};

forEachDatabase((_name, openDatabase) => {
  let db: TestDatabase;
  afterEach(() => db.cleanup());

  describe('egress server store', () => {
    it('keeps servers and the default by tenant and mode', async () => {
      db = await openDatabase(migrations);
      const store = createEgressServerStore(db);
      const options = { page: 1, perPage: 20, sort: 'name', order: 'asc' } as const;
      await db.transaction((tx) => store.insert(tx, SERVER));
      const changed = { ...SERVER, kind: 'source_address', port: null, enabled: false, version: 2 } as const;
      await db.transaction((tx) => store.update(tx, changed));
      expect(await store.find(LIVE, SERVER.id)).toEqual(changed);
      expect(await store.list(LIVE, options)).toEqual([changed]);
      expect(await store.count(LIVE)).toBe(1);
      await db.transaction((tx) => store.setDefault(tx, LIVE, SERVER.id, 1));
      expect(await store.defaultOf(LIVE)).toBe(SERVER.id);
      for (const scope of OTHERS) {
        expect(await store.find(scope, SERVER.id)).toBeUndefined();
        expect(await store.listAll(scope)).toEqual([]);
        expect(await store.defaultOf(scope)).toBeNull();
        await db.transaction((tx) => store.delete(tx, scope, SERVER.id));
      }
      expect(await store.listAll(LIVE)).toHaveLength(1);
      await db.transaction(async (tx) => {
        await store.setDefault(tx, LIVE, null, 2);
        await store.delete(tx, LIVE, SERVER.id);
      });
      expect([await store.listAll(LIVE), await store.defaultOf(LIVE)]).toEqual([[], null]);
    });
  });
});
