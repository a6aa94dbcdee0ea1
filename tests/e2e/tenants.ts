import { MIGRATIONS } from '../../packages/server/src/app/migrations.js';
import { commitHook } from '../../packages/server/src/capabilities/audit-logs/index.js';
import { systemClock } from '../../packages/server/src/kernel/clock.js';
import { Secret } from '../../packages/server/src/kernel/secret.js';
import { systemIds } from '../../packages/server/src/platform/crypto/random.js';
import { createLogger } from '../../packages/server/src/platform/log/logger.js';
import {
  openDatabase,
  type StorageOptions,
} from '../../packages/server/src/platform/storage/open-database.js';
import { createTestServices, stopServices } from '../../packages/server/src/testing/services.js';
import { createTestTenant, type TestTenant } from '../../packages/server/src/testing/tenants.js';

/** Further tenants of an installation, with keys of both modes: no endpoint makes a tenant yet. */
export async function addTenants(
  storage: StorageOptions,
  rootKeyB64: string,
  slugs: readonly string[],
): Promise<TestTenant[]> {
  const clock = systemClock;
  const db = await openDatabase(storage, { migrations: MIGRATIONS, clock, commitHook });
  const logger = createLogger('error', { write: () => {} });
  const rootKey = new Secret(Buffer.from(rootKeyB64, 'base64'));
  const services = createTestServices({ db, clock, logger, rootKey });
  try {
    const tenants: TestTenant[] = [];
    for (const slug of slugs) tenants.push(await createTestTenant({ ...services, db, ids: systemIds }, slug));
    return tenants;
  } finally {
    await stopServices(services);
    await db.close();
  }
}
