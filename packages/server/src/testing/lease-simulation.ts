import type { DynDb } from '../capabilities/dyn-db/index.js';
import { dynDbTables } from '../capabilities/dyn-db/tables.js';
import { isAppError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import { Secret } from '../kernel/secret.js';
import type { Floor } from './harness.js';
import { Crash, type SimulatedParts, type SimulatedProcess, startProcess } from './simulated-process.js';

/** The server whose users are made and dropped. */
export interface SimulatedTarget extends SimulatedParts {
  readonly connection: { host: string; port: number; databaseName: string; adminUsername: string };
  readonly password: string;
  /** Tells its users from those of others on the same server. */
  readonly usernameTemplate: string;
  /** While it is, nobody reaches it, and those who are in are thrown out. */
  setDown(isDown: boolean): void;
  users(): Promise<string[]>;
  /** The admin's is the first one again: who deletes a connection after a rotation has to. */
  resetPassword(): Promise<void>;
}

type Act = readonly [name: string, run: (by: SimulatedProcess) => Promise<unknown>];

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
/** No act passes more of them. */
const GATES_MAX = 40;
/** So long a worker that died keeps what it had at hand, and nobody anything for longer here. */
const LONGEST_CLAIM_MS = 30_000;
/** Of all that may be waited for: a claim, and the longest delay between two tries. */
const LONGEST_WAIT_MS = 3_700_000;
/** Then the key of a call that died may be taken over. */
const KEY_LEASE_MS = 15_000;

const NEW_ROLE = {
  name: ROLE,
  statements: { template: 'readonly', schemas: null },
  defaultTtlSeconds: null,
  maxTtlSeconds: null,
  usernameTemplate: null,
  maxLiveLeases: null,
} as const;

export interface Outcome {
  /** Users of which no lease is written that has not ended, at any time. */
  readonly unwrittenUsers: readonly string[];
  /** Users without a live lease that nobody has at hand, not even one who died, when the database is back. */
  readonly neglectedUsers: readonly string[];
  /** Users without a live lease, and live leases without a user, when no claim of the dead holds any more. */
  readonly strayUsers: readonly string[];
  readonly lostUsers: readonly string[];
  /** After the last lease was over. */
  readonly usersLeft: readonly string[];
  readonly leases: readonly { readonly id: number; readonly status: string }[];
  /** Of each idempotency key those that were about to become its answer. */
  readonly answersByKey: ReadonlyMap<string, ReadonlySet<number>>;
  readonly minted: number;
  readonly crashes: number;
  readonly takenOver: number;
  readonly deletions: number;
  /** That were live when all had come to rest. */
  readonly living: number;
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
  const start = () => startProcess(floor, target);
  let processes = [start(), start()];
  const counts = { minted: 0, crashes: 0, takenOver: 0, deletions: 0 };
  const known: number[] = [];
  const unwrittenUsers = new Set<string>();
  const answersByKey = new Map<string, Set<number>>();
  /** Keys of mints that died, and when. */
  let brokenOff: { readonly key: string; readonly atMs: number }[] = [];

  async function connect({ connections, roles }: DynDb): Promise<void> {
    await target.resetPassword();
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
    await roles.create(caller, CONNECTION, NEW_ROLE, { verify: false });
  }

  const isConnected = async () => (await start().dynDb.connections.list(caller)).length > 0;
  const oneOf = (ids: readonly number[]) => ids[draw(Math.max(ids.length, 1))] ?? 1;

  async function mintKeyed(by: SimulatedProcess, key: string): Promise<number | null> {
    const answers = answersByKey.get(key) ?? new Set();
    answersByKey.set(key, answers);
    const ttlSeconds = 1 + draw(draw(2) === 0 ? 60 : 600);
    try {
      const leaseId = await by.mintKeyed(
        caller,
        key,
        (keyedCaller) => by.dynDb.leases.mint(keyedCaller, CONNECTION, ROLE, ttlSeconds),
        (id) => answers.add(id),
      );
      if (leaseId === null) return null;
      counts.minted += 1;
      known.push(leaseId);
      return leaseId;
    } catch (error) {
      if (error instanceof Crash) brokenOff.push({ key, atMs: floor.clock.nowMs() });
      throw error;
    }
  }

  const mint = (by: SimulatedProcess) => mintKeyed(by, `mint-${answersByKey.size}`);

  /** As a client does that got no answer. */
  async function mintAgain(by: SimulatedProcess): Promise<unknown> {
    const again = brokenOff.find(({ atMs }) => atMs + KEY_LEASE_MS < floor.clock.nowMs());
    if (!again) return undefined;
    brokenOff = brokenOff.filter((one) => one !== again);
    counts.takenOver += 1;
    return mintKeyed(by, again.key);
  }

  async function endAllAndDelete({ dynDb, work }: SimulatedProcess): Promise<void> {
    await dynDb.leases.revokeMany(caller, { connection: CONNECTION });
    await work();
    await dynDb.connections.delete(caller, CONNECTION, { force: false });
    counts.deletions += 1;
  }

  const work = (by: SimulatedProcess) => by.work();
  const acts: readonly Act[] = [
    ...Array<Act>(6).fill(['mint', mint]),
    ['mint again', mintAgain],
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
    ...Array<Act>(2).fill([
      'make the role',
      ({ dynDb }) => dynDb.roles.create(caller, CONNECTION, NEW_ROLE, { verify: draw(2) === 0 }),
    ]),
    ['rotate the admin password', ({ dynDb }) => dynDb.rotateAdminPassword(caller, CONNECTION)],
    ['end all and delete the connection', endAllAndDelete],
    ['pause or go on', async (by) => by.pause(draw(3) === 0)],
    ['work', work],
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
      counts.crashes += 1;
      return start();
    });
  }

  /** The leases that have not ended, whoever knows of them. */
  const written = () =>
    floor.db
      .view(dynDbTables)
      .scoped(caller.principal.scope)
      .selectFrom('dyn_db_leases')
      .select(['username', 'status', 'end_cause', 'expires_at', 'claim_until'])
      .where('next_attempt_at', 'is not', null)
      .execute();

  async function look() {
    const [users, rows] = [await target.users(), await written()];
    const names = new Set(rows.map(({ username }) => username));
    for (const name of users) if (!names.has(name)) unwrittenUsers.add(name);
    const nowMs = floor.clock.nowMs();
    const living = rows
      .filter((row) => row.status !== 'pending' && row.end_cause === null && row.expires_at > nowMs)
      .map(({ username }) => username);
    const held = rows.filter((row) => (row.claim_until ?? 0) > nowMs).map(({ username }) => username);
    return { users, living, held };
  }

  await connect(processes[0]!.dynDb);
  for (let step = 0; step < STEPS; step += 1) {
    if (draw(6) === 0) {
      const isDown = draw(2) === 0;
      target.setDown(isDown);
      tell(`${step}: the database is ${isDown ? 'down' : 'up'}`);
    }
    if (!(await isConnected())) await run(`${step}: connect`, () => connect(start().dynDb));
    if (draw(3) === 0) {
      const [at, gates] = [draw(2), 1 + draw(GATES_MAX)];
      processes[at]!.dieAt(gates);
      tell(`${step}: process ${at} dies at its gate ${gates}`);
    }
    const chosen = Array.from({ length: 1 + draw(3) }, () => [acts[draw(acts.length)]!, draw(2)] as const);
    await Promise.all(
      chosen.map(([[name, act], at]) => run(`${step}: ${name} at ${at}`, () => act(processes[at]!))),
    );
    replaceTheDead();
    await look();
    if (draw(2) === 0) {
      const ms = draw(40_000);
      floor.clock.advance(ms);
      tell(`${step}: ${ms} ms later`);
    }
  }

  target.setDown(false);
  processes = [start(), start()];
  const { connections, leases } = processes[0]!.dynDb;
  if (!(await isConnected())) await connect(processes[0]!.dynDb);

  /** A change of the connection has what failed tried again at once; what collided is tried once more. */
  async function settle(advanceMs: number): Promise<void> {
    floor.clock.advance(advanceMs);
    for (let round = 0; round < 2; round += 1) {
      await connections.update(caller, CONNECTION, { enabled: true });
      await Promise.all(processes.map((process) => process.work()));
    }
  }

  // What nobody has at hand is done at once; what a process had that died, when its claim is over.
  await settle(0);
  const early = await look();
  const isExcused = new Set([...early.living, ...early.held]);
  const neglectedUsers = early.users.filter((name) => !isExcused.has(name));
  await settle(LONGEST_CLAIM_MS / 2);
  await settle(LONGEST_CLAIM_MS / 2);
  const { users, living } = await look();
  const strayUsers = users.filter((name) => !living.includes(name));
  const lostUsers = living.filter((name) => !users.includes(name));
  for (let pass = 0; pass < 3; pass += 1) await settle(LONGEST_WAIT_MS);
  const { leases: all } = await leases.list(caller, { status: 'all', limit: 500, offset: 0 });
  await connections.delete(caller, CONNECTION, { force: false });
  return {
    ...counts,
    unwrittenUsers: [...unwrittenUsers],
    neglectedUsers,
    strayUsers,
    lostUsers,
    usersLeft: await target.users(),
    leases: all.map(({ id, status }) => ({ id, status })),
    answersByKey,
    living: living.length,
  };
}
