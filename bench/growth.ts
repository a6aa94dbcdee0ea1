// What calls cost as the rows become more, in one process: `growth.ts {"sides": [{"rows", "storage"}], "rounds"}`. One line of JSON when the
// databases are filled; after SIGUSR2 it measures, and prints the second.
import { once } from 'node:events';
import { createAuthentication } from '../packages/server/src/capabilities/authentication/index.js';
import { systemClock } from '../packages/server/src/kernel/clock.js';
import { actorOf } from '../packages/server/src/kernel/principal.js';
import { Secret } from '../packages/server/src/kernel/secret.js';
import { createLogger } from '../packages/server/src/platform/log/logger.js';
import type { StorageOptions } from '../packages/server/src/platform/storage/open-database.js';
import { stopServices, type TestServices } from '../packages/server/src/testing/services.js';
import {
  apiKeyOf,
  auditEntry,
  logEntry,
  openableEvery,
  openSide,
  type Side,
  tokenOf,
  warm,
} from './growth-fill.js';

interface Plan {
  readonly sides: readonly { readonly rows: number; readonly storage: StorageOptions }[];
  readonly rounds: number;
}

interface Operation {
  readonly name: string;
  /** Of each side in each round. */
  readonly calls: number;
  /** What is measured, with all that need not be in it prepared. */
  prepare(side: Side, call: number): () => unknown;
}

/** No more rounds of an operation are begun after that, once there are three. */
const OPERATION_MS = 12_000;
const ROUNDS_MIN = 3;
/** A cache of credentials is taken for so many keys, each asked for once. */
const KEYS_A_CACHE = 100;
const HOST = { kind: 'plain', mode: null, tenantSlug: null } as const;
const FIRST_PAGE = { page: 1, perPage: 50, order: 'desc' } as const;
const VALUE = { value: new Secret('one more value'), metadata: null, ttlSeconds: null, cardExpiry: null };

const plan = JSON.parse(process.argv[2] ?? '') as Plan;
const isPostgres = plan.sides[0]?.storage.kind === 'postgres';
const logger = createLogger('error', { write: (line) => process.stderr.write(line) });
const authentications = new Map<Side, ReturnType<typeof createAuthentication>>();

/** Those that read come first: those that write add to the rows. */
const OPERATIONS: readonly Operation[] = [
  {
    name: 'token look-up of a proxied call',
    calls: isPostgres ? 2_000 : 4_000,
    prepare({ services, caller, vault, rows }) {
      const references = [{ vault: vault.name, token: tokenOf(anyOf(rows)) }];
      return () => services.vaults.checkForProxy(caller, references);
    },
  },
  {
    name: 'key check, cold',
    calls: isPostgres ? 2_000 : 4_000,
    prepare(side, call) {
      const turn = call % KEYS_A_CACHE;
      if (turn === 0)
        authentications.set(
          side,
          createAuthentication({
            ...side.services,
            tokens: side.services.oauth.tokens,
            clock: systemClock,
          }),
        );
      const number =
        turn * Math.floor(side.rows / KEYS_A_CACHE) + anyOf(Math.floor(side.rows / KEYS_A_CACHE));
      const headers = ['Host', 'localhost', 'Authorization', `Bearer ${apiKeyOf(number)}`];
      const authentication = authentications.get(side);
      return () => authentication?.authenticate(headers, HOST);
    },
  },
  {
    name: 'first page of API keys',
    calls: 1_000,
    prepare:
      ({ services, caller }) =>
      () =>
        services.apiKeys.list(caller.principal.scope, FIRST_PAGE),
  },
  {
    name: 'first page of the audit log',
    calls: 1_000,
    prepare:
      ({ services, caller }) =>
      () =>
        services.auditLogs.list(caller.principal.scope.tenantId, FIRST_PAGE),
  },
  {
    name: 'first page of the request log',
    calls: 1_000,
    prepare:
      ({ services, caller }) =>
      () =>
        services.apiLogs.list(caller.principal.scope, {}, undefined, FIRST_PAGE.perPage),
  },
  {
    name: 'audit row, durable',
    calls: 1_000,
    prepare:
      ({ db, services, caller }) =>
      () =>
        db.commitInserts([services.auditLogs.insertion(actorOf(caller), auditEntry())]),
  },
  {
    name: 'request-log row, durable',
    calls: 1_000,
    prepare:
      ({ services, caller }) =>
      () => {
        services.apiLogs.append(logEntry(caller));
        return services.apiLogs.flush();
      },
  },
  {
    name: 'detokenize of a proxied call',
    calls: 1_000,
    prepare({ services, caller, vault, rows }) {
      const every = openableEvery(rows);
      const token = tokenOf(anyOf(Math.floor(rows / every)) * every);
      const references = [{ vault: vault.name, token }];
      return () => services.vaults.detokenizeForProxy(caller, references);
    },
  },
  {
    name: 'tokenize',
    calls: 1_000,
    prepare:
      ({ services, caller, vault }) =>
      () =>
        services.vaults.tokenize(caller, vault.name, VALUE),
  },
];

const sides: Side[] = [];
const filledAt = performance.now();
for (const { rows, storage } of plan.sides) sides.push(await openSide(storage, rows, logger));
const fillSeconds = (performance.now() - filledAt) / 1_000;
const begun = once(process, 'SIGUSR2');
// A signal alone keeps no process alive.
const waiting = setInterval(() => {}, 60_000);
console.log(JSON.stringify({ fillSeconds }));
await begun;
clearInterval(waiting);
const operations = [];
for (const operation of OPERATIONS) operations.push(await measure(operation));
console.log(JSON.stringify({ operations }));
for (const { db, services } of sides) {
  await stopServices(services as TestServices);
  await db.close();
}

async function measure(operation: Operation) {
  const begunAt = performance.now();
  const rounds: { p50: number; p99: number }[][] = [];
  await round(operation, Math.ceil(operation.calls / 4));
  while (
    rounds.length < plan.rounds &&
    (rounds.length < ROUNDS_MIN || performance.now() - begunAt < OPERATION_MS)
  )
    rounds.push(await round(operation, operation.calls));
  const figures = sides.map(({ rows }, at) => ({
    rows,
    p50Micros: median(rounds.map((sidesOfRound) => sidesOfRound[at]!.p50)),
    p99Micros: median(rounds.map((sidesOfRound) => sidesOfRound[at]!.p99)),
  }));
  return { name: operation.name, calls: rounds.length * operation.calls, sides: figures };
}

/** Every side in its turn, call by call: what disturbs one disturbs the others, and none has the caches for itself. */
async function round({ prepare }: Operation, calls: number) {
  for (const side of sides) await warm(side);
  const micros = sides.map(() => new Float64Array(calls));
  for (let call = 0; call < calls; call++) {
    for (let turn = 0; turn < sides.length; turn++) {
      const at = (call + turn) % sides.length;
      const run = prepare(sides[at]!, call);
      const begunAt = performance.now();
      await run();
      micros[at]![call] = (performance.now() - begunAt) * 1_000;
    }
    // The server's loop turns between calls too: polls and writes get their turn.
    if (call % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return micros.map((one) => {
    one.sort();
    return { p50: one[Math.floor(calls * 0.5)]!, p99: one[Math.floor(calls * 0.99)]! };
  });
}

function anyOf(rows: number): number {
  return Math.floor(Math.random() * rows);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
