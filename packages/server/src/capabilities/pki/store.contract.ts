import { beforeEach, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { type Database, UniqueViolation } from '../../platform/storage/database.js';
import type { CaRole } from './roles.js';
import { createRoleStore, type RoleStore } from './store.js';

const LIVE: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId, sandbox: false };
const TEST: Scope = { ...LIVE, sandbox: true };
const FOREIGN: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId, sandbox: false };
const ROOT = 'bbbbbbbb-0000-4000-8000-000000000001';
const OTHER_ROOT = 'bbbbbbbb-0000-4000-8000-000000000002';

const role = (n: number, more: Partial<CaRole> = {}): CaRole => ({
  id: `cccccccc-0000-4000-8000-${String(n).padStart(12, '0')}`,
  rootId: ROOT,
  name: `role ${n}`,
  allowedDomains: ['example.com', '*.xn--bcher-kva.example'],
  allowSubdomains: true,
  allowWildcards: false,
  allowIpSans: true,
  allowAcme: false,
  acmeRequireEab: true,
  maxTtlSeconds: 7_776_000,
  defaultTtlSeconds: 2_592_000,
  keyAlgorithm: 'ecdsa-p256',
  createdAtMs: n,
  updatedAtMs: n,
  ...more,
});

export function roleStoreContract(open: () => Promise<Database>): void {
  let db: Database;
  let store: RoleStore;
  const add = (scope: Scope, row: CaRole) => db.transaction((tx) => store.insert(tx, scope, row));

  beforeEach(async () => {
    db = await open();
    store = createRoleStore(db);
  });

  it('roles come back as they were stored, by name and by id', async () => {
    const rows = [
      role(1),
      role(2, {
        allowedDomains: [],
        allowSubdomains: false,
        allowWildcards: true,
        allowIpSans: false,
        allowAcme: true,
        acmeRequireEab: false,
        keyAlgorithm: 'rsa-4096',
      }),
    ];
    for (const row of rows) {
      await add(LIVE, row);
      expect(await store.find(LIVE, ROOT, row.name)).toEqual(row);
      expect(await store.find(LIVE, ROOT, row.id.toUpperCase())).toEqual(row);
    }
    expect(await store.list(LIVE, ROOT)).toEqual(rows);
    expect(await db.transaction((tx) => store.count(LIVE, ROOT, tx))).toBe(2);
  });

  it('roles are of one root, tenant and mode', async () => {
    await add(LIVE, role(1));
    for (const [scope, rootId] of [
      [LIVE, OTHER_ROOT],
      [TEST, ROOT],
      [FOREIGN, ROOT],
    ] as const) {
      expect(await store.find(scope, rootId, 'role 1')).toBeUndefined();
      expect(await store.list(scope, rootId)).toEqual([]);
      await add(scope, role(1, { rootId, id: role(rootId === ROOT ? 1 : 2).id }));
    }
    await db.transaction((tx) => store.delete(tx, TEST, role(1).id));
    expect(await store.list(TEST, ROOT)).toEqual([]);
    expect(await store.list(LIVE, ROOT)).toHaveLength(1);
    expect(await store.list(FOREIGN, ROOT)).toHaveLength(1);
  });

  it('a name is taken once below a root, by a rename too', async () => {
    await add(LIVE, role(1));
    await add(LIVE, role(2));
    await expect(add(LIVE, role(3, { name: 'role 1' }))).rejects.toThrow(UniqueViolation);
    const renamed = role(2, { name: 'role 1', updatedAtMs: 9 });
    const rename = db.transaction((tx) => store.update(tx, LIVE, renamed));
    await expect(rename).rejects.toThrow(UniqueViolation);
    expect(await store.find(LIVE, ROOT, 'role 2')).toEqual(role(2));
  });

  it('a change and a removal are of that role alone', async () => {
    await add(LIVE, role(1));
    await add(LIVE, role(2));
    const changed = role(1, { name: 'new', allowedDomains: ['a.b'], maxTtlSeconds: 60, updatedAtMs: 5 });
    await db.transaction((tx) => store.update(tx, LIVE, changed));
    expect(await store.list(LIVE, ROOT)).toEqual([changed, role(2)]);
    await db.transaction((tx) => store.delete(tx, LIVE, changed.id));
    expect(await store.list(LIVE, ROOT)).toEqual([role(2)]);
  });
}
