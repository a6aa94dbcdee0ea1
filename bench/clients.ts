// Which client a request comes from, by itself in one process: `clients.ts {"storage", "clients", "calls"}`; one line of JSON.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MIGRATIONS } from '../packages/server/src/app/migrations.js';
import { createAssignmentStore } from '../packages/server/src/capabilities/clients/assignments/store.js';
import {
  createCredentialStore,
  type Evidence,
} from '../packages/server/src/capabilities/clients/credentials/store.js';
import { type ClientMatch, createClients } from '../packages/server/src/capabilities/clients/index.js';
import { createClientStore } from '../packages/server/src/capabilities/clients/store.js';
import { systemClock } from '../packages/server/src/kernel/clock.js';
import type { Scope, TenantId } from '../packages/server/src/kernel/ids.js';
import { isPending } from '../packages/server/src/kernel/promisable.js';
import { createGenerations } from '../packages/server/src/platform/cache/generations.js';
import { systemIds } from '../packages/server/src/platform/crypto/random.js';
import type { RequestSource } from '../packages/server/src/platform/http/request-source.js';
import { createLogger } from '../packages/server/src/platform/log/logger.js';
import { openDatabase, type StorageOptions } from '../packages/server/src/platform/storage/open-database.js';
import { clientRow, credentialRow } from '../packages/server/src/testing/client-rows.js';

interface Plan {
  readonly storage: StorageOptions;
  readonly clients: number;
  readonly calls: number;
}

/** Of each client, one more by certificate. */
const IPV4_RANGES = 8;
const IPV6_RANGES = 2;
const CLIENTS_AT_ONCE = 50;
const CALLS_A_TURN = 500;
const PLACE = { routeId: 'cccccccc-0000-4000-8000-000000000001', environment: 'production' };

const plan = JSON.parse(process.argv[2] ?? '') as Plan;
const logger = createLogger('error', { write: (line) => process.stderr.write(line) });
const db = await openDatabase(plan.storage, { migrations: MIGRATIONS, clock: systemClock, logger });
const generations = createGenerations({ db, clock: systemClock });
const unasked = async () => {};
const { matcher } = createClients({
  db,
  clock: systemClock,
  ids: systemIds,
  logger,
  generations,
  auditLogs: { record: unasked },
  plans: { roomFor: async () => ({ require() {} }) },
  routeNames: async () => new Map(),
  isSigningSecret: async () => false,
  clientCa: { prepare: () => Promise.reject(new Error('nothing is issued')), revoke: async () => 0 },
});
const scope: Scope = { tenantId: systemIds.uuid() as TenantId, sandbox: false };
const random = (below: number) => Math.floor(Math.random() * below);
const byte = () => random(256);
const group = () => random(65_536).toString(16);

await fill();
await generations.start();
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const begunAt = performance.now();
await matcher.match(scope, from(''), 'all');
const loadMs = performance.now() - begunAt;
delay.disable();

console.log(
  JSON.stringify({
    loadMs,
    loadLongestTurnMs: delay.max / 1e6,
    calls: {
      'address in a range': await measure(() => from(`10.${byte()}.${byte()}.${byte()}`), 'all'),
      'IPv6 address in a range': await measure(() => from(`2001:db8:${group()}:${group()}::1`), 'all'),
      'address in none': await measure(() => from(`192.168.${byte()}.${byte()}`), 'all'),
      certificate: await measure(() => from('192.168.0.1', thumbprint(random(plan.clients))), 'all'),
      'address, of the half that is assigned to a route': await measure(
        () => from(`10.${byte()}.${byte()}.${byte()}`),
        PLACE,
      ),
    },
  }),
);
await generations.stop();
await db.close();

/** The first tenth warms up. */
async function measure(draw: () => RequestSource, among: typeof PLACE | 'all') {
  const micros = new Float64Array(plan.calls);
  const warm = Math.floor(plan.calls / 10);
  let matched = 0;
  for (let call = -warm; call < plan.calls; call++) {
    if (call % CALLS_A_TURN === 0) await nextTurn();
    const source = draw();
    const startedAt = performance.now();
    const found = matcher.match(scope, source, among);
    if (call >= 0) micros[call] = (performance.now() - startedAt) * 1_000;
    // Never, but where the process has not read changes for a second.
    const match: ClientMatch | null = isPending(found) ? await found : found;
    if (match && call >= 0) matched += 1;
  }
  micros.sort();
  const at = (share: number) => micros[Math.floor((micros.length - 1) * share)]!;
  return { p50Micros: at(0.5), p99Micros: at(0.99), matched: matched / plan.calls };
}

function from(address: string, sha256Thumbprint?: string): RequestSource {
  const certificate =
    sha256Thumbprint === undefined ? null : { sha256Thumbprint, notBeforeMs: null, notAfterMs: null };
  return { address, certificate };
}

function thumbprint(n: number): string {
  return n.toString(16).padStart(64, '0');
}

async function fill(): Promise<void> {
  const clients = createClientStore(db);
  const credentials = createCredentialStore(db);
  const assignments = createAssignmentStore(db);
  for (let first = 0; first < plan.clients; first += CLIENTS_AT_ONCE)
    await db.transaction(async (tx) => {
      const assigned: string[] = [];
      for (let n = first; n < Math.min(first + CLIENTS_AT_ONCE, plan.clients); n++) {
        const client = clientRow(scope, systemIds.uuid(), { name: `client ${n}` });
        if (n % 2 === 0) assigned.push(client.id);
        await clients.insert(tx, client);
        for (const evidence of evidenceOf(n))
          await credentials.insert(tx, credentialRow(client, systemIds.uuid(), evidence));
      }
      await assignments.add(tx, scope, PLACE, assigned, 0);
    });
}

/** Ranges of every length from /12 and /36 on, so that many lie in each other; of a client no two are the same. */
function evidenceOf(n: number): Evidence[] {
  const ip = (value: string): Evidence => ({ kind: 'ip', value });
  return [
    ...Array.from({ length: IPV4_RANGES }, (_, i) =>
      ip(`10.${byte()}.${byte()}.${byte()}/${12 + i * 2 + random(2)}`),
    ),
    ...Array.from({ length: IPV6_RANGES }, (_, i) =>
      ip(`2001:db8:${group()}:${group()}::/${36 + i * 14 + random(14)}`),
    ),
    { kind: 'mtls_thumbprint', sha256Thumbprint: thumbprint(n), issued: null },
  ];
}
