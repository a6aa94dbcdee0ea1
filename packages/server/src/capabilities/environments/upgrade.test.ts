import { expect, it } from 'vitest';
import { MIGRATIONS } from '../../app/migrations.js';
import { systemClock } from '../../kernel/clock.js';
import type { TenantId } from '../../kernel/ids.js';
import { openDatabase } from '../../platform/storage/open-database.js';
import { forEachDatabase } from '../../testing/databases.js';
import { accountsTables } from '../accounts/tables.js';
import { createEnvironmentStore } from './store.js';

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TENANTS = [
  'aaaaaaaa-0000-4000-8000-0123456789ab',
  'aaaaaaaa-0000-4000-8000-ba9876543210',
] as TenantId[];

forEachDatabase((_name, open) => {
  it('tenants from before there were environments have production in both modes', async () => {
    const db = await open(MIGRATIONS.filter(({ id }) => id < '0053'));
    try {
      const rows = TENANTS.map((id, n) => ({
        id,
        slug: `tenant-${n}`,
        name: 'Tenant',
        plan: 'free',
        subscription_status: 'active',
        created_at: n,
        updated_at: n,
      }));
      await db.view(accountsTables).system('people').insertInto('tenants').values(rows).execute();
      const upgraded = await openDatabase(db.storage, { migrations: MIGRATIONS, clock: systemClock });
      const store = createEnvironmentStore(upgraded);
      const ids = new Set<string>(TENANTS);
      for (const [n, tenantId] of TENANTS.entries()) {
        for (const sandbox of [false, true]) {
          const found = await store.list({ tenantId, sandbox });
          const first = { name: 'production', displayName: 'Production', color: '#6366f1', isDefault: true };
          expect(found).toMatchObject([{ ...first, description: null, createdAtMs: n }]);
          expect(found[0]!.id).toMatch(UUID_V4);
          ids.add(found[0]!.id);
        }
      }
      expect(ids.size).toBe(3 * TENANTS.length);
      await upgraded.close();
    } finally {
      await db.cleanup();
    }
  });
});
