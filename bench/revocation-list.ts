// How long a revocation list is waited for after a revocation: `revocation-list.ts {"storage", "entries", "rounds", "folder"}`. Leaves the last
// list and its chain in the folder; one line of JSON.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MIGRATIONS } from '../packages/server/src/app/migrations.js';
import { createCertificateStore } from '../packages/server/src/capabilities/authorities/certificate-store.js';
import { createAuthorityStore } from '../packages/server/src/capabilities/authorities/store.js';
import { systemClock } from '../packages/server/src/kernel/clock.js';
import { systemIds, systemRandom } from '../packages/server/src/platform/crypto/random.js';
import { createLogger } from '../packages/server/src/platform/log/logger.js';
import { openDatabase, type StorageOptions } from '../packages/server/src/platform/storage/open-database.js';
import { createTestServices, stopServices } from '../packages/server/src/testing/services.js';
import { createTestTenant } from '../packages/server/src/testing/tenants.js';

interface Plan {
  readonly storage: StorageOptions;
  readonly entries: number;
  readonly rounds: number;
  readonly folder: string;
}

const ROWS_AT_ONCE = 500;
const DAY_MS = 86_400_000;

const plan = JSON.parse(process.argv[2] ?? '') as Plan;
const logger = createLogger('error', { write: (line) => process.stderr.write(line) });
const db = await openDatabase(plan.storage, { migrations: MIGRATIONS, clock: systemClock, logger });
const services = createTestServices({ db, clock: systemClock, logger });
await services.generations.start();
const tenant = await createTestTenant({ ...services, db, ids: systemIds }, 'revocations');
const scope = { tenantId: tenant.id, sandbox: false };
const { authorities, clientCa } = services;
const certificates = createCertificateStore(db);

const client = { id: systemIds.uuid(), name: 'first' };
const made = await clientCa.prepare(scope, client);
await db.transaction((tx) => made.record(tx));
const [root] = await authorities.listRoots(scope);
const active = await createAuthorityStore(db).listActive(scope, root!.id);
const issuing = active.find(({ kind }) => kind === 'issuing')!;
await revoke(plan.entries - plan.rounds);

const millis: number[] = [];
let list: Buffer = Buffer.alloc(0);
for (let round = 0; round < plan.rounds; round++) {
  await revoke(1);
  const begunAt = performance.now();
  list = await authorities.list(scope.tenantId, root!.id, issuing.keyId);
  millis.push(performance.now() - begunAt);
}
millis.sort((a, b) => a - b);
writeFileSync(join(plan.folder, 'list.der'), list);
writeFileSync(join(plan.folder, 'chain.pem'), made.caChainPem);
console.log(
  JSON.stringify({ medianMs: millis[plan.rounds >> 1], slowestMs: millis.at(-1), bytes: list.length }),
);
await stopServices(services);
await db.close();

/** Rows as issuing writes them, past the making of keys. */
async function revoke(count: number): Promise<void> {
  for (let left = count; left > 0; left -= ROWS_AT_ONCE) {
    const serials = Array.from({ length: Math.min(left, ROWS_AT_ONCE) }, () => {
      const serial = systemRandom.bytes(16);
      serial[0] = (serial[0]! & 0x7f) | 0x40;
      return serial.toString('hex');
    });
    await db.transaction(async (tx) => {
      const nowMs = Date.now();
      const certificate = {
        rootId: root!.id,
        authorityId: issuing.id,
        clientId: client.id,
        subject: 'CN=first',
        dns: [],
        ips: [],
        role: null,
        acmeAccountId: null,
        der: Buffer.alloc(500),
        notBeforeMs: nowMs,
        notAfterMs: nowMs + 300 * DAY_MS,
      };
      for (const serial of serials) await certificates.insert(tx, scope, { ...certificate, serial }, nowMs);
      await clientCa.revoke(tx, scope, serials, 'superseded');
    });
  }
}
