import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { createRoleStore, type RoleStore } from './store.js';
import { migrations, rolesTables } from './tables.js';

export function roleStoreContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let store: RoleStore;
  beforeAll(async () => {
    db = await open(migrations);
    store = createRoleStore(db);
  });
  afterAll(() => db.cleanup());

  const tenantId = 'tenant-a' as TenantId;
  const foreign = 'tenant-b' as TenantId;
  const insert = (tenant: TenantId, id: string, appliesTo: string[], rules: unknown) =>
    db
      .view(rolesTables)
      .scoped({ tenantId: tenant })
      .insertInto('roles')
      .values({
        id,
        name: `Role ${id}`,
        description: id === 'r1' ? 'first' : null,
        applies_to: JSON.stringify(appliesTo),
        rules: JSON.stringify(rules),
        created_at: 1,
      })
      .execute();

  it('lists the roles of the tenant by name', async () => {
    await insert(tenantId, 'r2', ['user'], []);
    await insert(tenantId, 'r1', ['api_key', 'user'], []);
    await insert(foreign, 'r0', ['user'], []);
    expect(await store.list(tenantId)).toEqual([
      { id: 'r1', name: 'Role r1', description: 'first', appliesTo: ['api_key', 'user'], isSeeded: false },
      { id: 'r2', name: 'Role r2', description: null, appliesTo: ['user'], isSeeded: false },
    ]);
  });

  it('reads the rules of key roles by id, in the tenant only', async () => {
    const stored = { resource_type: 'vaults', actions: ['read'], effect: 'allow' };
    await insert(tenantId, 'k1', ['api_key'], [stored, { ...stored, effect: 'deny', resource: 'cards' }]);
    await insert(tenantId, 'k2', ['api_key'], [{ ...stored, effect: 'ALLOW' }]);
    await insert(tenantId, 'u1', ['user'], [stored]);
    const rule = { resourceType: 'vaults', actions: ['read'], effect: 'allow', resource: null };
    expect(await store.rulesOfKeyRoles(tenantId, ['k1', 'u1', 'nobody'])).toEqual([
      rule,
      { ...rule, effect: 'deny', resource: 'cards' },
    ]);
    expect(await store.rulesOfKeyRoles(tenantId, ['k2'])).toEqual([{ ...rule, effect: 'deny' }]);
    expect(await store.rulesOfKeyRoles(foreign, ['k1'])).toEqual([]);
  });
}
