// Durable audit rows of one process: `audit-writes.ts {"storage", "seconds", "inFlight", "isSealing"}`; one line of JSON.
import {
  commitHook,
  createAuditChain,
  createAuditLogs,
  migrations,
} from '../packages/server/src/capabilities/audit-logs/index.js';
import { systemClock } from '../packages/server/src/kernel/clock.js';
import type { ApiKeyId, RequestId, TenantId } from '../packages/server/src/kernel/ids.js';
import { Secret } from '../packages/server/src/kernel/secret.js';
import { systemIds } from '../packages/server/src/platform/crypto/random.js';
import { createLogger } from '../packages/server/src/platform/log/logger.js';
import { openDatabase, type StorageOptions } from '../packages/server/src/platform/storage/open-database.js';

interface Plan {
  readonly storage: StorageOptions;
  readonly seconds: number;
  readonly inFlight: number;
  /** False: the tables of the version before the chain, for comparison. */
  readonly isSealing: boolean;
}

const TENANTS = 10;
const WARMUP_MS = 1_000;
const plan = JSON.parse(process.argv[2] ?? '') as Plan;
const logger = createLogger('error', { write: (line) => process.stderr.write(line) });
const db = await openDatabase(plan.storage, {
  migrations: plan.isSealing ? migrations : migrations.slice(0, 1),
  clock: systemClock,
  logger,
  ...(plan.isSealing && { commitHook }),
});
const rootKey = new Secret(Buffer.alloc(32, 1));
const chain = createAuditChain({ db, clock: systemClock, logger, rootKey, retentionMs: null });
if (plan.isSealing) await chain.start();
const auditLogs = createAuditLogs({ db, clock: systemClock, ids: systemIds, onWrite: chain.wake });

const vaultId = systemIds.uuid();
const actors = Array.from({ length: TENANTS }, (_, n) => ({
  scope: { tenantId: `00000000-0000-4000-8000-00000000000${n}` as TenantId, sandbox: false },
  apiKeyId: systemIds.uuid() as ApiKeyId,
  userId: null,
  ip: '127.0.0.1',
}));

let rows = 0;
const latencies: number[] = [];
const startedAt = performance.now();
const endAt = startedAt + WARMUP_MS + plan.seconds * 1_000;
const countFrom = startedAt + WARMUP_MS;
await Promise.all(Array.from({ length: plan.inFlight }, (_, n) => write(n)));
const writtenAt = performance.now();
let sealedAfterMs = 0;
if (plan.isSealing) {
  for (const { scope } of actors)
    while ((await chain.verify(scope.tenantId, { from: 1, to: 0 })).unsealedTail > 0)
      await new Promise((resolve) => setTimeout(resolve, 5));
  sealedAfterMs = performance.now() - writtenAt;
  await chain.stop();
}
await db.close();
latencies.sort((a, b) => a - b);
const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0;
console.log(
  JSON.stringify({ perSecond: rows / plan.seconds, p50Ms: at(0.5), p99Ms: at(0.99), sealedAfterMs }),
);

async function write(n: number): Promise<void> {
  const actor = actors[n % TENANTS]!;
  while (performance.now() < endAt) {
    const begunAt = performance.now();
    const details = { vault: 'cards', token_id: systemIds.uuid(), via: 'ephemeral_proxy' };
    const entry = { action: 'vault.detokenize', resourceType: 'vault', resourceId: vaultId, details };
    await db.commitInserts([
      auditLogs.insertion({ ...actor, requestId: systemIds.uuid() as RequestId }, entry),
    ]);
    const doneAt = performance.now();
    if (begunAt < countFrom || doneAt > endAt) continue;
    rows++;
    latencies.push(doneAt - begunAt);
  }
}
