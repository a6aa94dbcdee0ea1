// The check of API keys in one process: `key-checks.ts {"storage", "keys", "calls"}`; one line of JSON.

import { MIGRATIONS } from '../packages/server/src/app/migrations.js';
import { createAccounts } from '../packages/server/src/capabilities/accounts/index.js';
import { createApiKeys } from '../packages/server/src/capabilities/api-keys/index.js';
import { newKey } from '../packages/server/src/capabilities/api-keys/key-format.js';
import { apiKeysTables } from '../packages/server/src/capabilities/api-keys/tables.js';
import { createAuditLogs } from '../packages/server/src/capabilities/audit-logs/index.js';
import { createAuthentication } from '../packages/server/src/capabilities/authentication/index.js';
import { createPermissions } from '../packages/server/src/capabilities/permissions/index.js';
import { systemClock } from '../packages/server/src/kernel/clock.js';
import type { ApiKeyId, TenantId } from '../packages/server/src/kernel/ids.js';
import { Secret } from '../packages/server/src/kernel/secret.js';
import { createGenerations } from '../packages/server/src/platform/cache/generations.js';
import { systemIds, systemRandom } from '../packages/server/src/platform/crypto/random.js';
import { createLogger } from '../packages/server/src/platform/log/logger.js';
import { openDatabase, type StorageOptions } from '../packages/server/src/platform/storage/open-database.js';

interface Plan {
  readonly storage: StorageOptions;
  readonly keys: number;
  readonly calls: number;
}

const INSERTED_AT_ONCE = 1_000;
/** What the cache holds for certain, of the 10,000 that it has room for. */
const WARM_KEYS = 5_000;
const HOST = { kind: 'plain', mode: null, tenantSlug: null } as const;

const plan = JSON.parse(process.argv[2] ?? '') as Plan;
const logger = createLogger('error', { write: (line) => process.stderr.write(line) });
const deps = { clock: systemClock, ids: systemIds, random: systemRandom, logger };
const db = await openDatabase(plan.storage, { migrations: MIGRATIONS, clock: systemClock, logger });
const generations = createGenerations({ db, clock: systemClock });
const auditLogs = createAuditLogs({ db, ...deps });
const accounts = createAccounts({ db, ...deps, generations, auditLogs, seedTenant: async () => {} });
const permissions = createPermissions({ db });
// Keys of every kind may be made.
const plans = { requireFeature: async () => {} };
const apiKeys = createApiKeys({ db, ...deps, generations, auditLogs, permissions, plans });
const noProof = () => Promise.reject(new Error('nobody comes with a token'));
const authentication = createAuthentication({
  ...deps,
  apiKeys,
  accounts,
  permissions,
  generations,
  tokens: { find: async () => undefined },
  dpop: { algorithms: [], verify: noProof, consume: noProof },
  origins: { of: () => '', ofWrapLabel: () => '' },
});

const tenantId = systemIds.uuid() as TenantId;
const owner = await accounts.prepareOwner('owner@example.com', new Secret('a-password-of-the-bench'));
await db.transaction((tx) =>
  accounts.createTenantWithOwner(
    tx,
    { id: tenantId, slug: 'bench', name: 'Bench', plan: 'enterprise' },
    owner,
  ),
);
const headers = await storeKeys();
await generations.start();

/** More keys than the cache has room for, each in its turn: none is still there when its turn comes again. */
const cold = await measure((call) => headers[call % headers.length]!);
for (const known of headers.slice(0, WARM_KEYS)) await authentication.authenticate(known, HOST);
const warm = await measure((call) => headers[call % WARM_KEYS]!);
await apiKeys.stop();
await generations.stop();
await db.close();
console.log(JSON.stringify({ warm, cold }));

async function storeKeys(): Promise<string[][]> {
  const view = db.view(apiKeysTables);
  const all: string[][] = [];
  while (all.length < plan.keys) {
    const made = Array.from({ length: INSERTED_AT_ONCE }, () => newKey(systemRandom, 'standard'));
    await db.commitInserts(
      made.map((key) =>
        view.insertion(
          'api_keys',
          { tenantId, sandbox: false },
          {
            id: systemIds.uuid() as ApiKeyId,
            key_id: key.keyId,
            key_hash: key.hash,
            key_prefix: key.prefix,
            key_type: key.type,
            name: 'bench',
            created_at: systemClock.nowMs(),
            last_used_at: null,
            revoked_at: null,
            access: '{"full":true}',
            rate_limit_requests: null,
            rate_limit_window_sec: null,
            expires_at: null,
          },
        ),
      ),
    );
    all.push(...made.map((key) => ['Host', 'localhost', 'Authorization', `Bearer ${key.apiKey.reveal()}`]));
  }
  return all;
}

/** One after the other: the function's own time, without a wait behind another call. */
async function measure(headersOf: (call: number) => string[]) {
  const micros = new Float64Array(plan.calls);
  for (let call = 0; call < plan.calls; call++) {
    const rawHeaders = headersOf(call);
    const begunAt = performance.now();
    await authentication.authenticate(rawHeaders, HOST);
    micros[call] = (performance.now() - begunAt) * 1_000;
    // The server's loop turns between calls too: polls and writes get their turn.
    if (call % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  micros.sort();
  const at = (share: number) => micros[Math.floor(plan.calls * share)]!;
  return { p50Micros: at(0.5), p99Micros: at(0.99) };
}
