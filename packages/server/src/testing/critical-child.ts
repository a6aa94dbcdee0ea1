import { MIGRATIONS } from '../app/migrations.js';
import { systemActor } from '../capabilities/accounts/index.js';
import { commitHook, createAuditLogs } from '../capabilities/audit-logs/index.js';
import { systemClock } from '../kernel/clock.js';
import type { TenantId } from '../kernel/ids.js';
import { systemIds } from '../platform/crypto/random.js';
import { openDatabase } from '../platform/storage/open-database.js';

// Several writers at once do acts of the critical chain, for one tenant after the other; each says the tenant of an act
// that is committed. Without a number of acts they go on until they are killed.
const { storage, tenantIds, writers, acts = Number.POSITIVE_INFINITY } = JSON.parse(process.argv[2] ?? '');
const db = await openDatabase(storage, { migrations: MIGRATIONS, clock: systemClock, commitHook });
const auditLogs = createAuditLogs({ db, clock: systemClock, ids: systemIds });

async function write(writer: number): Promise<void> {
  for (let act = 0; act < acts; act++) {
    const tenantId: TenantId = tenantIds[(writer + act) % tenantIds.length];
    await db.transaction((tx) =>
      auditLogs.recordCritical(tx, systemActor(tenantId), {
        action: 'byok.kms.rotate',
        resourceType: 'tenant_kms',
        resourceId: null,
        details: { writer, act },
      }),
    );
    await new Promise((resolve) => process.stdout.write(`${tenantId}\n`, resolve));
  }
}

await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
await db.close();
