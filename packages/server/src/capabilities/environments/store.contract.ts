import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { systemIds } from '../../platform/crypto/random.js';
import { UniqueViolation } from '../../platform/storage/database.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { migrations as accountMigrations } from '../accounts/index.js';
import { createFirstEnvironments } from './first.js';
import { createEnvironmentStore, type Environment, type EnvironmentStore } from './store.js';
import { migrations } from './tables.js';

const TENANT = 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId;
const LIVE: Scope = { tenantId: TENANT, sandbox: false };
const OTHERS: readonly Scope[] = [
  { ...LIVE, sandbox: true },
  { tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId, sandbox: false },
];
const ID = 'eeeeeeee-0000-4000-8000-000000000001';

const environment = (more: Partial<Environment> = {}): Environment => ({
  id: ID,
  scope: LIVE,
  name: 'staging',
  displayName: 'Staging',
  description: 'd',
  color: '#abcdef',
  isDefault: false,
  variables: { REGION: 'eu' },
  createdAtMs: 5,
  updatedAtMs: 6,
  ...more,
});

export function describeEnvironmentStore(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let store: EnvironmentStore;
  beforeEach(async () => {
    db = await open([...accountMigrations, ...migrations]);
    store = createEnvironmentStore(db);
  });
  afterEach(() => db.cleanup());

  const add = (one: Environment) => db.transaction((tx) => store.insert(tx, one));

  it('gives back what was stored, in its tenant and mode alone', async () => {
    const stored = environment();
    await add(stored);
    expect(await store.find(LIVE, ID)).toEqual(stored);
    expect(await store.findByName(LIVE, 'staging')).toEqual(stored);
    expect([await store.list(LIVE), await store.count(LIVE)]).toEqual([[stored], 1]);
    for (const scope of OTHERS) {
      expect(await store.find(scope, ID)).toBeUndefined();
      expect(await store.findByName(scope, 'staging')).toBeUndefined();
      expect([await store.list(scope), await store.count(scope)]).toEqual([[], 0]);
    }
  });

  it('has a name once in a tenant and mode', async () => {
    await add(environment());
    await expect(add(environment({ id: ID.replace('1', '2') }))).rejects.toThrow(UniqueViolation);
    for (const scope of OTHERS) await add(environment({ scope }));
  });

  it('changes, clears and deletes within its tenant and mode', async () => {
    await add(environment({ isDefault: true }));
    for (const scope of OTHERS) await add(environment({ scope, isDefault: true }));
    await db.transaction((tx) => store.clearDefault(tx, LIVE));
    expect(await store.findDefault(LIVE)).toBeUndefined();
    for (const scope of OTHERS) expect((await store.findDefault(scope))?.id).toBe(ID);
    const changed = environment({ name: 'qa', displayName: null, description: null, updatedAtMs: 9 });
    await db.transaction((tx) => store.update(tx, changed));
    expect(await store.find(LIVE, ID)).toEqual(changed);
    await db.transaction((tx) => store.delete(tx, LIVE, ID));
    expect(await store.count(LIVE)).toBe(0);
    for (const scope of OTHERS) expect((await store.find(scope, ID))?.name).toBe('staging');
  });

  it('starts a new tenant with production in both modes', async () => {
    const seed = createFirstEnvironments({ db, clock: createManualClock(), ids: systemIds });
    await db.transaction((tx) => seed(tx, TENANT));
    for (const sandbox of [false, true]) {
      expect(await store.list({ tenantId: TENANT, sandbox })).toMatchObject([
        { name: 'production', displayName: 'Production', color: '#6366f1', isDefault: true },
      ]);
    }
  });
}
