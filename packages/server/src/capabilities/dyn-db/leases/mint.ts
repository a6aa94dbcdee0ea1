import { assert } from '../../../kernel/assert.js';
import { notFound } from '../../../kernel/errors.js';
import type { Scope } from '../../../kernel/ids.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import type { Secret } from '../../../kernel/secret.js';
import type { Random } from '../../../platform/crypto/random.js';
import { recordAnswer, recordIntent } from '../../../platform/http/idempotency.js';
import type { Transaction } from '../../../platform/storage/database.js';
import { actorName, leaseEntry } from '../audit.js';
import type { CallersDatabases } from '../connections/crowd.js';
import { actBudgetMs, type Engines, type OpenDatabase } from '../connections/databases.js';
import { statementTimeoutMsOf } from '../connections/options.js';
import type { Connection } from '../connections/store.js';
import { connectionDisabled, isUsernameTaken, leaseLimit, leaseLost, mintForbidden } from '../errors.js';
import type { EngineSession, MintedUser, RoleStatements } from '../providers/engine.js';
import type { Role, RoleStore } from '../roles/store.js';
import { generateUsername, parseUsernameTemplate, usernameFromTemplate } from '../statements/names.js';
import { generatePassword } from '../statements/password.js';
import type { LeaseActDeps } from './act-deps.js';
import { shownError } from './ending.js';
import type { Lease } from './lease.js';
import type { Claim, NewLease } from './store.js';
import { SWEEP_MS } from './sweep.js';
import { resolveTtl } from './ttl.js';

export interface MintedCredential {
  readonly username: string;
  readonly password: Secret<string>;
  readonly expiresAtMs: number;
  readonly leaseId: number;
  readonly connectionName: string;
  readonly roleName: string;
}

export interface MintingDeps extends LeaseActDeps {
  readonly random: Random;
  readonly engines: Engines;
  readonly databases: Pick<CallersDatabases, 'open' | 'use' | 'within'>;
  readonly roles: RoleStore;
}

/** What a mint is of, and the lease that was written ahead of its user. */
interface Begun {
  readonly connection: Connection;
  readonly role: Role;
  readonly lease: Lease;
  readonly claim: Claim;
}

type NewPassword = Pick<MintedUser, 'password' | 'verifier'>;

/** With these its user is made, and ended wherever the connection leads by then. */
export function pinnedStatements(
  engines: Engines,
  connection: Connection,
  { statements }: Role,
): RoleStatements {
  return engines[connection.engine].pinned?.(statements, connection.databaseName) ?? statements;
}

/** Of names that were drawn and are another's (dyn-db.md §3.3). */
const NAMES_TRIED = 3;
/** After all that a mint may take, and after the server has given up its last statement, nobody makes that user any more. */
const CLAIM_MARGIN_MS = 5_000;

export function createMinting(deps: MintingDeps) {
  const { db, clock, ids, random, engines, databases, connections, roles, leases, claims, ending } = deps;

  async function find(caller: Caller, connectionName: string, roleName: string) {
    const { scope } = caller.principal;
    // Before a look: else whoever may mint of one role could find out which others there are.
    const resource = `${connectionName}/${roleName}`;
    if (!caller.principal.may('dyn-db:mint', resource)) throw mintForbidden(resource);
    const connection = await connections.find(scope, connectionName);
    if (!connection) throw notFound('Connection');
    const role = await roles.find(scope, connection.id, roleName);
    if (!role) throw notFound('Role');
    return { connection, role };
  }

  function usernameFor(caller: Caller, connection: Connection, role: Role): string {
    const template = role.usernameTemplate ?? connection.usernameTemplate;
    if (template === null) return generateUsername(random);
    const max = engines[connection.engine].usernameCharactersMax;
    const values = { actor: actorName(caller.principal), role: role.name, connection: connection.name };
    return usernameFromTemplate(
      parseUsernameTemplate('username_template', template, max),
      values,
      max,
      random,
    );
  }

  function newLease(
    caller: Caller,
    connection: Connection,
    role: Role,
    askedSeconds: number | null,
  ): NewLease {
    const nowMs = clock.nowMs();
    const { seconds, maxSeconds } = resolveTtl(askedSeconds, role, connection);
    const lastStatementMs = statementTimeoutMsOf(connection.connectOptions);
    return {
      connectionId: connection.id,
      connectionName: connection.name,
      roleId: role.id,
      roleName: role.name,
      engine: connection.engine,
      username: usernameFor(caller, connection, role),
      statements: pinnedStatements(engines, connection, role),
      actor: actorName(caller.principal),
      ttlSeconds: seconds,
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + seconds * 1_000,
      maxExpiresAtMs: nowMs + maxSeconds * 1_000,
      endCause: null,
      claim: {
        owner: ids.uuid(),
        untilMs: nowMs + actBudgetMs(connection) + lastStatementMs + CLAIM_MARGIN_MS,
      },
    };
  }

  async function requireRoom(tx: Transaction, scope: Scope, connection: Connection, role: Role) {
    const { maxLiveLeases } = connection;
    if (maxLiveLeases !== null && (await leases.countLive(scope, connection.id, null, tx)) >= maxLiveLeases)
      throw leaseLimit(`Connection "${connection.name}"`, maxLiveLeases);
    const ofRole = role.maxLiveLeases;
    if (ofRole !== null && (await leases.countLive(scope, connection.id, role.id, tx)) >= ofRole)
      throw leaseLimit(`Role "${role.name}"`, ofRole);
  }

  /** Write-ahead: from its commit on a worker drops the user, whatever becomes of this process (dyn-db.md §4). */
  function begin(
    caller: Caller,
    known: { connection: Connection; role: Role },
    lease: NewLease,
  ): Promise<Begun> {
    const { scope } = caller.principal;
    return db.transaction(async (tx) => {
      const connection = await connections.findById(scope, known.connection.id, tx);
      if (!connection) throw notFound('Connection');
      if (!connection.enabled) throw connectionDisabled(connection.name);
      const role = await roles.find(scope, connection.id, known.role.name, tx);
      if (role?.id !== known.role.id) throw notFound('Role');
      await requireRoom(tx, scope, connection, role);
      const id = await leases.insertPending(tx, scope, lease);
      await recordIntent(tx, caller, String(id));
      const pending = { status: 'pending', attempts: 0, lastError: null } as const;
      const { claim, ...columns } = lease;
      return {
        connection,
        role,
        claim,
        lease: { ...columns, ...pending, id, scope, nextAttemptAtMs: claim.untilMs },
      };
    });
  }

  /** An earlier try of this call was broken off: its user goes when nobody can make it any more. */
  async function fenceOffEarlierTry(caller: Caller): Promise<void> {
    const intent = caller.idempotency?.intentId;
    if (!intent) return;
    const { scope } = caller.principal;
    await db.transaction(async (tx) => {
      const lease = await leases.find(scope, Number(intent), tx);
      if (lease?.nextAttemptAtMs == null || lease.status !== 'pending') return;
      const claim = { owner: ids.uuid(), untilMs: lease.nextAttemptAtMs };
      await claims.take(tx, scope, lease.id, claim, { endCause: 'mint_failed' });
    });
  }

  async function ensureGroup(session: EngineSession, { connection, role, lease }: Begun): Promise<void> {
    const { group } = lease.statements;
    if (!group || role.isGroupMade) return;
    await session.ensureGroupRole(group);
    await db.transaction((tx) => roles.setGroupMade(tx, lease.scope, connection.id, group.name, true));
  }

  /** The user is there: it becomes the caller's, or nobody's. */
  async function finish(
    caller: Caller,
    { lease, claim }: Begun,
    minted: MintedCredential,
    askedSeconds: number | null,
  ): Promise<void> {
    await db.transaction(async (tx) => {
      if (!(await claims.activate(tx, lease.scope, claim.owner, lease.id, lease.expiresAtMs)))
        throw leaseLost();
      const entry = leaseEntry('dyn_db.credential.mint', lease, {
        ttl_seconds_asked: askedSeconds,
        ttl_seconds: lease.ttlSeconds,
      });
      await deps.auditLogs.record(tx, actorOf(caller), entry);
      await recordAnswer(tx, caller, minted);
    });
    if (lease.expiresAtMs - clock.nowMs() < SWEEP_MS) deps.wakeWorker();
  }

  /** Nobody had logged in, or the user of that name is another's: there is no user, and nothing to tell of. */
  async function discard(caller: Caller, { lease, claim }: Begun): Promise<void> {
    await db.transaction(async (tx) => {
      await claims.discard(tx, lease.scope, claim.owner, lease.id);
      await recordIntent(tx, caller, null);
    });
  }

  /** At once where the session still answers; else the worker does it, and at once as well. */
  async function undo(caller: Caller, begun: Begun, session: EngineSession, failure: unknown): Promise<void> {
    const { lease, claim } = begun;
    const { scope } = lease;
    const isDropped = await session.dropUser(lease.username, lease.statements).then(
      () => true,
      () => false,
    );
    await db.transaction(async (tx) => {
      if (isDropped) {
        await ending.endIn(tx, scope, claim.owner, [{ lease, cause: 'mint_failed' }], actorOf(caller));
        await recordIntent(tx, caller, null);
        return;
      }
      const nextAttemptAtMs = clock.nowMs();
      const waiting = { ids: [lease.id], attempts: 0, nextAttemptAtMs, lastError: shownError(failure) };
      await claims.fail(tx, scope, claim.owner, waiting);
      tx.afterCommit(deps.wakeWorker);
    });
  }

  function newPassword({ connection, role }: { connection: Connection; role: Role }): NewPassword {
    const password = generatePassword(random);
    const isOfTemplate = role.statements.group !== null;
    // On its way during the log-in, which waits for the server.
    const verifier = isOfTemplate ? engines[connection.engine].verifierOf?.(password) : undefined;
    return { password, verifier };
  }

  async function openBeside(begin: Promise<Begun>, scope: Scope, connection: Connection) {
    // The log-in takes the longest of all, and changes nothing: it need not wait for the commit.
    const [begun, opened] = await Promise.allSettled([begin, databases.open(scope, connection)]);
    if (begun.status === 'rejected') {
      if (opened.status === 'fulfilled') await opened.value.close();
      throw begun.reason;
    }
    return { begun: begun.value, opened };
  }

  async function create(
    caller: Caller,
    begun: Begun,
    { session }: OpenDatabase,
    { password, verifier }: NewPassword,
    askedSeconds: number | null,
  ): Promise<MintedCredential> {
    const { lease, connection } = begun;
    const minted = {
      username: lease.username,
      password,
      expiresAtMs: lease.expiresAtMs,
      leaseId: lease.id,
      connectionName: connection.name,
      roleName: lease.roleName,
    };
    try {
      await databases.within(connection, async () => {
        await ensureGroup(session, begun);
        // As the lease says that it was made, whatever has become of the role by now.
        await session.createUser({ ...minted, verifier }, lease.statements);
      });
      await finish(caller, begun, minted, askedSeconds);
    } catch (error) {
      if (isUsernameTaken(error)) await discard(caller, begun);
      // What fails here is left to the worker, which finds the lease when the claim has ended.
      else await undo(caller, begun, session, error).catch(() => {});
      throw error;
    }
    return minted;
  }

  async function mintOnce(
    caller: Caller,
    known: { connection: Connection; role: Role },
    askedSeconds: number | null,
  ): Promise<MintedCredential> {
    const lease = newLease(caller, known.connection, known.role, askedSeconds);
    assert(lease.expiresAtMs > lease.issuedAtMs, 'a lease lasts');
    const { scope } = caller.principal;
    const password = newPassword(known);
    const { begun, opened } = await openBeside(begin(caller, known, lease), scope, known.connection);
    if (opened.status === 'rejected') {
      await discard(caller, begun);
      throw opened.reason;
    }
    try {
      return await create(caller, begun, opened.value, password, askedSeconds);
    } finally {
      // The answer does not wait for the server to say goodbye: it takes as long as a statement.
      void opened.value.close();
    }
  }

  return async function mint(
    caller: Caller,
    connectionName: string,
    roleName: string,
    askedSeconds: number | null,
  ): Promise<MintedCredential> {
    const known = await find(caller, connectionName, roleName);
    if (!known.connection.enabled) throw connectionDisabled(connectionName);
    await fenceOffEarlierTry(caller);
    for (let tried = 1; ; tried += 1) {
      try {
        return await mintOnce(caller, known, askedSeconds);
      } catch (error) {
        if (!isUsernameTaken(error) || tried === NAMES_TRIED) throw error;
      }
    }
  };
}
