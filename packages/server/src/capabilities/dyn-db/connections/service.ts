import { notFound, validationError } from '../../../kernel/errors.js';
import type { DbConnectionId, Scope } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import type { Secret } from '../../../kernel/secret.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { Transaction } from '../../../platform/storage/database.js';
import { connectionEntry } from '../audit.js';
import type { DynDbParts } from '../deps.js';
import { hasLiveLeases, tooManyConnections } from '../errors.js';
import type { EngineName, GroupRole } from '../providers/engine.js';
import { groupsOf } from '../roles/templates.js';
import { portOf, type Reachable } from './databases.js';
import type { Preflight } from './preflight.js';
import {
  requireCredentialAgain,
  requireFreeName,
  requireOptionsFit,
  requireTtls,
  requireUsernameTemplateFits,
} from './rules.js';
import type { Connection, ConnectionColumns, Destination } from './store.js';

export interface NewConnection extends Destination {
  readonly name: string;
  readonly engine: EngineName;
  readonly adminPassword: Secret<string>;
  readonly defaultTtlSeconds: number;
  readonly maxTtlSeconds: number;
  readonly usernameTemplate: string | null;
  readonly maxLiveLeases: number | null;
}

export interface ConnectionChanges
  extends Omit<ConnectionColumns, 'passwordEnvelope' | 'nextPasswordEnvelope'> {
  readonly adminPassword?: Secret<string>;
}

export interface Connections {
  list(caller: Caller): Promise<Connection[]>;
  get(caller: Caller, name: string): Promise<Connection>;
  /** With `verify` nothing is stored where the database cannot be reached or lacks a grant. */
  create(caller: Caller, input: NewConnection, options: { readonly verify: boolean }): Promise<Connection>;
  update(caller: Caller, name: string, changes: ConnectionChanges): Promise<void>;
  /** Refused while leases live; with `force` they end with their users left behind. */
  delete(caller: Caller, name: string, options: { readonly force: boolean }): Promise<void>;
  /** Also mints and drops a user of each role, or of the one that is named. */
  test(caller: Caller, name: string, roleName: string | null): Promise<Preflight>;
  /** The same of what is not stored, up to the rights of the admin. */
  testUnsaved(caller: Caller, input: NewConnection): Promise<Preflight>;
}

/** Roles that one test probes. */
const PROBED_ROLES_MAX = 20;

export function createConnections(parts: DynDbParts): Connections {
  const { db, clock, ids, engines, transports, databases, auditLogs } = parts;
  const { connections, roles, leases, preflight, probes, forgetting } = parts;

  async function find(scope: Scope, name: string, tx?: Transaction): Promise<Connection> {
    const connection = await connections.find(scope, name, tx);
    if (!connection) throw notFound('Connection');
    return connection;
  }

  async function lock(tx: Transaction, scope: Scope, id: DbConnectionId): Promise<Connection> {
    await tx.lock('dyn_db_connections', id);
    const connection = await connections.findById(scope, id, tx);
    if (!connection) throw notFound('Connection');
    return connection;
  }

  function requireReachableFits(reachable: Reachable): void {
    requireOptionsFit(reachable.engine, reachable.connectOptions);
    const port = portOf(reachable, engines[reachable.engine]);
    const problem = transports.problem({ host: reachable.host, port });
    if (problem !== null) throw validationError('host', problem);
  }

  function requireFits(input: NewConnection): void {
    requireFreeName(input.name);
    requireTtls(input.defaultTtlSeconds, input.maxTtlSeconds);
    requireReachableFits(input);
    requireUsernameTemplateFits(engines[input.engine], input.usernameTemplate);
  }

  function askUnsaved({ principal }: Caller, input: NewConnection) {
    return preflight(input, () => databases.openAs(principal.scope, input, input.adminPassword), []);
  }

  /** Where the group roles were made is no longer known, and what the templates say names the database. */
  async function renewTemplates(tx: Transaction, scope: Scope, connection: Connection): Promise<void> {
    for (const role of await roles.list(scope, connection.id, tx)) {
      const { group } = role.statements;
      if (!group) continue;
      const statements = engines[connection.engine].templateStatements(group, connection.databaseName);
      await roles.update(tx, scope, role.id, { statements, isGroupMade: false }, clock.nowMs());
    }
  }

  async function columnsFor(
    scope: Scope,
    id: string,
    changes: ConnectionChanges,
  ): Promise<ConnectionColumns> {
    const { adminPassword, ...columns } = changes;
    if (!adminPassword) return columns;
    const passwordEnvelope = await databases.sealPassword(scope, id, adminPassword);
    return { ...columns, passwordEnvelope, nextPasswordEnvelope: null };
  }

  function requireChangesFit(before: Connection, changes: ConnectionChanges): Connection {
    const { adminPassword, ...columns } = changes;
    const after: Connection = { ...before, ...columns };
    requireTtls(after.defaultTtlSeconds, after.maxTtlSeconds);
    requireReachableFits(after);
    requireUsernameTemplateFits(engines[after.engine], changes.usernameTemplate);
    const { defaultPort } = engines[before.engine];
    requireCredentialAgain(before, after, defaultPort, adminPassword !== undefined);
    return after;
  }

  /** Best effort: what is left behind stands in the audit row. */
  async function dropGroups(scope: Scope, connection: Connection, groups: readonly GroupRole[]) {
    const left = new Set(groups.map(({ name }) => name));
    if (left.size === 0) return left;
    await databases
      .use(scope, connection, async (session) => {
        for (const group of groups) {
          await session.dropGroupRole(group);
          left.delete(group.name);
        }
      })
      .catch(() => {});
    return left;
  }

  return {
    list: (caller) => connections.list(caller.principal.scope),
    get: (caller, name) => find(caller.principal.scope, name),

    async create(caller, input, { verify }) {
      const { scope } = caller.principal;
      requireFits(input);
      if (verify) {
        const { failure } = await askUnsaved(caller, input);
        if (failure !== null) throw failure;
      }
      const { adminPassword, ...columns } = input;
      const id = ids.uuid() as DbConnectionId;
      const nowMs = clock.nowMs();
      const connection: Connection = {
        ...columns,
        id,
        executionMode: 'direct',
        passwordEnvelope: await databases.sealPassword(scope, id, adminPassword),
        nextPasswordEnvelope: null,
        enabled: true,
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
      };
      await db.transaction(async (tx) => {
        if ((await connections.count(scope, tx)) >= LIMITS.dbConnectionsMax)
          throw tooManyConnections(LIMITS.dbConnectionsMax);
        await connections.insert(tx, scope, connection);
        const details = { host: connection.host, execution_mode: connection.executionMode };
        await auditLogs.record(tx, actorOf(caller), connectionEntry('create', connection, details));
        await recordAnswer(tx, caller, connection);
      });
      return connection;
    },

    async update(caller, name, changes) {
      const { scope } = caller.principal;
      const known = await find(scope, name);
      requireChangesFit(known, changes);
      const columns = await columnsFor(scope, known.id, changes);
      await db.transaction(async (tx) => {
        const before = await lock(tx, scope, known.id);
        const after = requireChangesFit(before, changes);
        await connections.update(tx, scope, before.id, columns, clock.nowMs());
        if (hasMoved(before, after)) await renewTemplates(tx, scope, after);
        await leases.retryAtOnce(tx, scope, before.id, clock.nowMs());
        tx.afterCommit(parts.wakeWorker);
        const entry = connectionEntry('update', before, { changed: changedFields(changes) });
        await auditLogs.record(tx, actorOf(caller), entry);
        await recordAnswer(tx, caller, name);
      });
    },

    async delete(caller, name, { force }) {
      const { scope } = caller.principal;
      const connection = await find(scope, name);
      const groups = await db.transaction(async (tx) => {
        await lock(tx, scope, connection.id);
        const live = await leases.countLive(scope, connection.id, null, tx);
        if (live > 0 && !force) throw hasLiveLeases(`Connection "${name}"`, live);
        // Who mints from now on makes the group anew.
        const found = groupsOf(await roles.list(scope, connection.id, tx));
        for (const group of found) await roles.setGroupMade(tx, scope, connection.id, group.name, false);
        // No more come in than are forgotten.
        if (force) await connections.update(tx, scope, connection.id, { enabled: false }, clock.nowMs());
        return found;
      });
      const left = await dropGroups(scope, connection, groups);
      const forgotten = force ? await forgetting.forgetAll(caller, connection.id, null) : 0;
      await db.transaction(async (tx) => {
        await lock(tx, scope, connection.id);
        const live = await leases.countLive(scope, connection.id, null, tx);
        if (live > 0) throw hasLiveLeases(`Connection "${name}"`, live);
        await roles.deleteAllOf(tx, scope, connection.id);
        await connections.delete(tx, scope, connection.id);
        const details = { leases_forgotten: forgotten, group_roles_left: [...left] };
        await auditLogs.record(tx, actorOf(caller), connectionEntry('delete', connection, details));
        await recordAnswer(tx, caller, name);
      });
    },

    async test(caller, name, roleName) {
      const { scope } = caller.principal;
      const connection = await find(scope, name);
      const all = await roles.list(scope, connection.id);
      const probed = roleName === null ? all : all.filter((role) => role.name === roleName);
      if (roleName !== null && probed.length === 0) throw notFound('Role');
      const { preflight: result } = await preflight(
        connection,
        () => databases.open(scope, connection),
        probes.of(caller, connection, probed.slice(0, PROBED_ROLES_MAX)),
      );
      const left = probed.length - PROBED_ROLES_MAX;
      const told = left > 0 ? { ...result, warnings: [...result.warnings, notProbed(left)] } : result;
      await recordTest(caller, connection, told);
      return told;
    },

    async testUnsaved(caller, input) {
      requireFits(input);
      const { preflight: result } = await askUnsaved(caller, input);
      await recordTest(caller, { id: null, name: input.name, engine: input.engine }, result);
      return result;
    },
  };

  async function recordTest(
    caller: Caller,
    of: Parameters<typeof connectionEntry>[1],
    result: Preflight,
  ): Promise<void> {
    await db.transaction(async (tx) => {
      const failed = result.steps.find(({ ok }) => !ok)?.step ?? null;
      const entry = connectionEntry('test', of, { ok: result.ok, failed_step: failed });
      await auditLogs.record(tx, actorOf(caller), entry);
      await recordAnswer(tx, caller, result);
    });
  }
}

function notProbed(count: number): string {
  return `${count} role(s) were not tried, since one test tries ${PROBED_ROLES_MAX}: name one with "role"`;
}

function hasMoved(before: Connection, after: Connection): boolean {
  return (
    after.host !== before.host || after.port !== before.port || after.databaseName !== before.databaseName
  );
}

/** By their names on the wire. */
const WIRE_NAMES: Record<keyof ConnectionChanges, string> = {
  host: 'host',
  port: 'port',
  databaseName: 'database_name',
  adminUsername: 'admin_username',
  adminPassword: 'admin_password',
  connectOptions: 'connect_options',
  defaultTtlSeconds: 'default_ttl_seconds',
  maxTtlSeconds: 'max_ttl_seconds',
  usernameTemplate: 'username_template',
  maxLiveLeases: 'max_live_leases',
  enabled: 'enabled',
};

function changedFields(changes: ConnectionChanges): string[] {
  return (Object.keys(changes) as (keyof ConnectionChanges)[]).map((name) => WIRE_NAMES[name]);
}
