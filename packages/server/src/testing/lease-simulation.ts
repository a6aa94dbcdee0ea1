import { createDynDb, type DynDb, type Engines, type Transports } from '../capabilities/dyn-db/index.js';
import type { Engine, EngineSession } from '../capabilities/dyn-db/providers/engine.js';
import { isAppError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import { Secret } from '../kernel/secret.js';
import { systemIds, systemRandom } from '../platform/crypto/random.js';
import type { Database } from '../platform/storage/database.js';
import { createInstruments } from '../platform/telemetry/instruments.js';
import type { Floor } from './harness.js';

/** The server whose users are made and dropped. */
export interface SimulatedTarget {
  readonly engines: Engines;
  readonly transports: Transports;
  readonly connection: { host: string; port: number; databaseName: string; adminUsername: string };
  readonly password: string;
  /** Tells its users from those of others on the same server. */
  readonly usernameTemplate: string;
  /** While it is, nobody reaches it, and those who are in are thrown out. */
  setDown(isDown: boolean): void;
  users(): Promise<string[]>;
}

/** Thrown at an await of a process, and at every one after it: it is gone. */
class Crash extends Error {
  override readonly name = 'Crash';
}

interface Process {
  readonly dynDb: DynDb;
  /** It dies at that gate from now on. */
  dieAt(gates: number): void;
  isDead(): boolean;
  /** A sweep, and the jobs that it asks for. */
  work(): Promise<void>;
}

type Act = readonly [name: string, run: (by: Process) => Promise<unknown>];

const NEVER = Number.POSITIVE_INFINITY;

/** Services of their own over the same database, every call of which to a database is a place to die at. */
function startProcess(floor: Floor, target: SimulatedTarget): Process {
  let gatesLeft = NEVER;
  let isDead = false;

  function gate(): void {
    gatesLeft -= 1;
    if (gatesLeft <= 0) isDead = true;
    if (isDead) throw new Crash();
  }

  /** Also between what was done and the news of it. */
  async function gated<T>(act: () => Promise<T>): Promise<T> {
    gate();
    const result = await act();
    gate();
    return result;
  }

  const { db } = floor;
  const gatedDb: Database = { ...db, transaction: (run) => gated(() => db.transaction(run)) };

  function gatedSession(session: EngineSession): EngineSession {
    return {
      serverVersion: session.serverVersion,
      ensureGroupRole: (group) => gated(() => session.ensureGroupRole(group)),
      dropGroupRole: (group) => gated(() => session.dropGroupRole(group)),
      createUser: (user, statements) => gated(() => session.createUser(user, statements)),
      renewUser: (name, atMs) => gated(() => session.renewUser(name, atMs)),
      dropUser: (name, statements) => gated(() => session.dropUser(name, statements)),
      missingGrant: () => gated(() => session.missingGrant()),
      mintedUsers: () => gated(() => session.mintedUsers()),
      changeAdminPassword: (next) => gated(() => session.changeAdminPassword(next)),
      warnings: () => gated(() => session.warnings()),
      close: () => session.close(),
    };
  }

  const gatedEngine = (engine: Engine): Engine => ({
    ...engine,
    async connect(...how) {
      gate();
      const session = await engine.connect(...how);
      if (!isDead) return gatedSession(session);
      await session.close();
      throw new Crash();
    },
  });

  const asked: { key: string; payload: Record<string, unknown> }[] = [];
  const dynDb = createDynDb({
    db: gatedDb,
    clock: floor.clock,
    ids: systemIds,
    random: systemRandom,
    tenantKeys: floor.kms,
    auditLogs: floor.auditLogs,
    outbox: floor.outbox,
    jobs: {
      async enqueue(_tx, _kind, payload, options) {
        asked.push({ key: options?.key ?? '', payload });
        return 0;
      },
      wake: () => {},
    },
    engines: {
      postgres: gatedEngine(target.engines.postgres),
      mysql: gatedEngine(target.engines.mysql),
      mongo: gatedEngine(target.engines.mongo),
    },
    transports: target.transports,
    extraCa: null,
    instruments: createInstruments(),
    isWorkerPaused: false,
  });

  return {
    dynDb,
    isDead: () => isDead,
    dieAt(gates) {
      gatesLeft = gates;
    },
    async work() {
      await dynDb.sweep({ batchMax: 100 });
      for (const { payload } of asked.splice(0)) {
        const place = {
          scope: { tenantId: payload['tenant_id'], sandbox: payload['sandbox'] },
          connectionId: payload['connection_id'],
        } as Parameters<DynDb['endDue']>[0];
        const { signal } = new AbortController();
        await dynDb.endDue(place, { batchMax: 3, isStopping: () => false, signal });
      }
    },
  };
}

/** Mulberry32: the same draws from the same seed. */
function drawsFrom(seed: number) {
  let state = seed >>> 0;
  return (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const STEPS = 40;
const CONNECTION = 'simulated';
const ROLE = 'reader';
/** Of all that may be waited for: a claim, and the longest delay between two tries. */
const LONGEST_WAIT_MS = 3_700_000;

export interface Outcome {
  /** Users without a live lease, and live leases without a user, when all has come to rest. */
  readonly strayUsers: readonly string[];
  readonly lostUsers: readonly string[];
  /** After the last lease was over. */
  readonly usersLeft: readonly string[];
  readonly leases: readonly { readonly id: number; readonly status: string }[];
  readonly minted: number;
  readonly crashes: number;
}

/** Some forty steps of one seed, in each of which up to three calls and workers of two processes run at once. */
export async function simulate(
  floor: Floor,
  target: SimulatedTarget,
  caller: Caller,
  seed: number,
  tell: (line: string) => void,
): Promise<Outcome> {
  const draw = drawsFrom(seed);
  let processes = [startProcess(floor, target), startProcess(floor, target)];
  let crashes = 0;
  let minted = 0;
  const known: number[] = [];
  const { connections, roles } = processes[0]!.dynDb;
  await connections.create(
    caller,
    {
      name: CONNECTION,
      engine: 'postgres',
      ...target.connection,
      adminPassword: new Secret(target.password),
      connectOptions: { sslmode: 'prefer', connect_timeout_ms: 1_000, statement_timeout_ms: 1_000 },
      defaultTtlSeconds: 60,
      maxTtlSeconds: 600,
      usernameTemplate: target.usernameTemplate,
      maxLiveLeases: null,
    },
    { verify: false },
  );
  const newRole = {
    name: ROLE,
    statements: { template: 'readonly', schemas: null },
    defaultTtlSeconds: null,
    maxTtlSeconds: null,
    usernameTemplate: null,
    maxLiveLeases: null,
  } as const;
  await roles.create(caller, CONNECTION, newRole, { verify: false });

  const oneOf = (ids: readonly number[]) => ids[draw(Math.max(ids.length, 1))] ?? 1;
  const mint = async ({ dynDb }: Process) => {
    const { leaseId } = await dynDb.leases.mint(caller, CONNECTION, ROLE, 1 + draw(120));
    minted += 1;
    known.push(leaseId);
    return leaseId;
  };
  const work = (process: Process) => process.work();
  const acts: readonly Act[] = [
    ...Array<Act>(6).fill(['mint', mint]),
    ['renew', ({ dynDb }) => dynDb.leases.renew(caller, oneOf(known), 1 + draw(200))],
    ['revoke', ({ dynDb }) => dynDb.leases.revoke(caller, oneOf(known), { force: false })],
    [
      'revoke two',
      ({ dynDb }) => dynDb.leases.revokeMany(caller, { role: ROLE, ids: [oneOf(known), oneOf(known)] }),
    ],
    [
      'edit the role',
      ({ dynDb }) => dynDb.roles.update(caller, CONNECTION, ROLE, { defaultTtlSeconds: 60 + draw(60) }),
    ],
    [
      'enable or disable',
      ({ dynDb }) => dynDb.connections.update(caller, CONNECTION, { enabled: draw(4) > 0 }),
    ],
    ['test', ({ dynDb }) => dynDb.connections.test(caller, CONNECTION, null)],
    ['delete the role', ({ dynDb }) => dynDb.roles.delete(caller, CONNECTION, ROLE, { force: false })],
    ['make the role', ({ dynDb }) => dynDb.roles.create(caller, CONNECTION, newRole, { verify: false })],
    ['rotate the admin password', ({ dynDb }) => dynDb.rotateAdminPassword(caller, CONNECTION)],
    ['work', work],
    ['work', work],
  ];

  /** What the world refuses is part of it; what only a bug can cause is not. */
  async function run(told: string, act: () => Promise<unknown>): Promise<void> {
    tell(told);
    try {
      const result = await act();
      tell(`${told}: done${typeof result === 'number' ? `, lease ${result}` : ''}`);
    } catch (error) {
      tell(`${told}: ${isAppError(error) ? `${error.type}, ${error.publicMessage}` : String(error)}`);
      if (!isAppError(error) && !(error instanceof Crash)) throw error;
    }
  }

  function replaceTheDead(): void {
    processes = processes.map((process) => {
      if (!process.isDead()) return process;
      crashes += 1;
      return startProcess(floor, target);
    });
  }

  for (let step = 0; step < STEPS; step += 1) {
    if (draw(6) === 0) {
      const isDown = draw(2) === 0;
      target.setDown(isDown);
      tell(`${step}: the database is ${isDown ? 'down' : 'up'}`);
    }
    if (draw(3) === 0) {
      const [at, gates] = [draw(2), 1 + draw(12)];
      processes[at]!.dieAt(gates);
      tell(`${step}: process ${at} dies at its gate ${gates}`);
    }
    const chosen = Array.from({ length: 1 + draw(3) }, () => [acts[draw(acts.length)]!, draw(2)] as const);
    await Promise.all(
      chosen.map(([[name, act], at]) => run(`${step}: ${name} at ${at}`, () => act(processes[at]!))),
    );
    replaceTheDead();
    if (draw(2) === 0) {
      const ms = draw(40_000);
      floor.clock.advance(ms);
      tell(`${step}: ${ms} ms later`);
    }
  }

  target.setDown(false);
  processes = [startProcess(floor, target), startProcess(floor, target)];
  async function settle(advanceMs: number): Promise<void> {
    floor.clock.advance(advanceMs);
    await Promise.all(processes.map((process) => process.work()));
  }
  const { leases } = processes[0]!.dynDb;
  const list = async (status: 'live' | 'all') =>
    (await leases.list(caller, { status, limit: 500, offset: 0 })).leases;

  // Just longer than a claim of a mint: what no live lease has must be gone, and those that live must not. A change of
  // the connection has what failed tried again at once.
  for (let pass = 0; pass < 4; pass += 1) {
    await processes[0]!.dynDb.connections.update(caller, CONNECTION, { enabled: true });
    await settle(5_000);
  }
  const [users, live] = [await target.users(), await list('live')];
  const owned = new Set(live.map(({ username }) => username));
  // One that is asked to end, or is over, waits for its next try and may have its user or not.
  const waiting = live.filter(({ endCause, expiresAtMs }) => endCause || expiresAtMs <= floor.clock.nowMs());
  const mayBeGone = new Set(waiting.map(({ username }) => username));
  const strayUsers = users.filter((name) => !owned.has(name));
  const lostUsers = [...owned].filter((name) => !users.includes(name) && !mayBeGone.has(name));
  for (let pass = 0; pass < 3; pass += 1) await settle(LONGEST_WAIT_MS);
  const all = await list('all');
  await processes[0]!.dynDb.connections.delete(caller, CONNECTION, { force: false });
  return {
    strayUsers,
    lostUsers,
    usersLeft: await target.users(),
    leases: all.map(({ id, status }) => ({ id, status })),
    minted,
    crashes,
  };
}
