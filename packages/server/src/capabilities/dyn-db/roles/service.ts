import { notFound, validationError } from '../../../kernel/errors.js';
import type { DbRoleId, Scope } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { Transaction } from '../../../platform/storage/database.js';
import { roleEntry } from '../audit.js';
import { requireTtls, requireUsernameTemplateFits } from '../connections/rules.js';
import type { Connection } from '../connections/store.js';
import type { DynDbParts } from '../deps.js';
import { hasLiveLeases, tooManyRoles } from '../errors.js';
import type { GroupRole, RoleStatements, TemplateName } from '../providers/engine.js';
import type { Role, RoleColumns } from './store.js';
import { groupRole } from './templates.js';

/** A template, or statements of its own. */
export type NewStatements =
  | { readonly template: TemplateName; readonly schemas: readonly string[] | null }
  | { readonly creation: string; readonly revocation: string };

export interface NewRole {
  readonly name: string;
  readonly statements: NewStatements;
  readonly defaultTtlSeconds: number | null;
  readonly maxTtlSeconds: number | null;
  readonly usernameTemplate: string | null;
  readonly maxLiveLeases: number | null;
}

export interface RoleChanges extends Omit<RoleColumns, 'statements' | 'isGroupMade'> {
  readonly creation?: string;
  readonly revocation?: string;
}

export interface RoleOfConnection {
  readonly role: Role;
  readonly connectionName: string;
}

export interface Roles {
  list(caller: Caller, connectionName: string): Promise<Role[]>;
  get(caller: Caller, connectionName: string, roleName: string): Promise<Role>;
  /** With `verify` nothing is stored where a user cannot be made and dropped by its statements. */
  create(
    caller: Caller,
    connectionName: string,
    input: NewRole,
    options: { readonly verify: boolean },
  ): Promise<RoleOfConnection>;
  update(caller: Caller, connectionName: string, roleName: string, changes: RoleChanges): Promise<void>;
  delete(
    caller: Caller,
    connectionName: string,
    roleName: string,
    options: { readonly force: boolean },
  ): Promise<void>;
}

export function createRoles(parts: DynDbParts): Roles {
  const { db, clock, ids, engines, databases, auditLogs, connections, roles, leases } = parts;

  async function findConnection(scope: Scope, name: string, tx?: Transaction): Promise<Connection> {
    const connection = await connections.find(scope, name, tx);
    if (!connection) throw notFound('Connection');
    return connection;
  }

  async function findRole(scope: Scope, { id }: Connection, name: string, tx?: Transaction): Promise<Role> {
    const role = await roles.find(scope, id, name, tx);
    if (!role) throw notFound('Role');
    return role;
  }

  function statementsOf(connection: Connection, roleId: DbRoleId, input: NewStatements): RoleStatements {
    const engine = engines[connection.engine];
    if ('creation' in input) {
      engine.checkStatements(input.creation, input.revocation);
      return { creation: input.creation, revocation: input.revocation, group: null };
    }
    if (input.schemas !== null && connection.engine !== 'postgres')
      throw validationError('schemas', 'is for postgres only');
    const group = groupRole(input.template, input.schemas, { connection: connection.id, role: roleId });
    return engine.templateStatements(group, connection.databaseName);
  }

  /** While the database is away the next test or mint does it. */
  async function tryToMakeGroup(
    scope: Scope,
    connection: Connection,
    group: GroupRole | null,
  ): Promise<boolean> {
    if (!group) return false;
    return databases
      .use(scope, connection, (session) => session.ensureGroupRole(group))
      .then(
        () => true,
        () => false,
      );
  }

  async function verifyRole(caller: Caller, connection: Connection, role: Role): Promise<void> {
    const { failure } = await parts.preflight(
      connection,
      () => databases.open(caller.principal.scope, connection),
      parts.probes.of(caller, connection, [role]),
    );
    if (failure !== null) throw failure;
  }

  return {
    async list(caller, connectionName) {
      const { scope } = caller.principal;
      const { id } = await findConnection(scope, connectionName);
      return roles.list(scope, id);
    },

    async get(caller, connectionName, roleName) {
      const { scope } = caller.principal;
      return findRole(scope, await findConnection(scope, connectionName), roleName);
    },

    async create(caller, connectionName, input, { verify }) {
      const { scope } = caller.principal;
      const connection = await findConnection(scope, connectionName);
      requireTtls(input.defaultTtlSeconds, input.maxTtlSeconds);
      requireUsernameTemplateFits(engines[connection.engine], input.usernameTemplate);
      const id = ids.uuid() as DbRoleId;
      const nowMs = clock.nowMs();
      const statements = statementsOf(connection, id, input.statements);
      const wanted: Role = {
        ...input,
        id,
        connectionId: connection.id,
        statements,
        isGroupMade: false,
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
      };
      if (verify) await verifyRole(caller, connection, wanted);
      const isGroupMade = await tryToMakeGroup(scope, connection, statements.group);
      const role = { ...wanted, isGroupMade };
      const made = { role, connectionName: connection.name };
      await db.transaction(async (tx) => {
        await tx.lock('dyn_db_connections', connection.id);
        await findConnection(scope, connectionName, tx);
        if ((await roles.list(scope, connection.id, tx)).length >= LIMITS.dbRolesMax)
          throw tooManyRoles(LIMITS.dbRolesMax);
        await roles.insert(tx, scope, role);
        const entry = roleEntry('create', connection, role, { template: statements.group?.template ?? null });
        await auditLogs.record(tx, actorOf(caller), entry);
        await recordAnswer(tx, caller, made);
      });
      return made;
    },

    async update(caller, connectionName, roleName, changes) {
      const { scope } = caller.principal;
      const { creation, revocation, ...columns } = changes;
      await db.transaction(async (tx) => {
        const connection = await findConnection(scope, connectionName, tx);
        const role = await findRole(scope, connection, roleName, tx);
        const after = { ...role, ...columns };
        requireTtls(after.defaultTtlSeconds, after.maxTtlSeconds);
        requireUsernameTemplateFits(engines[connection.engine], columns.usernameTemplate);
        const statements = changedStatements(role, { creation, revocation });
        if (statements)
          engines[connection.engine].checkStatements(statements.creation, statements.revocation);
        const change = { ...columns, ...(statements && { statements }) };
        await roles.update(tx, scope, role.id, change, clock.nowMs());
        const entry = roleEntry('update', connection, role, { changed: changedFields(changes) });
        await auditLogs.record(tx, actorOf(caller), entry);
        await recordAnswer(tx, caller, roleName);
      });
    },

    async delete(caller, connectionName, roleName, { force }) {
      const { scope } = caller.principal;
      const connection = await findConnection(scope, connectionName);
      const { id } = await findRole(scope, connection, roleName);
      const forgotten = force ? await parts.forgetting.forgetAll(caller, connection.id, id) : 0;
      const group = await db.transaction(async (tx) => {
        const role = await findRole(scope, connection, roleName, tx);
        const live = await leases.countLive(scope, connection.id, role.id, tx);
        if (live > 0) throw hasLiveLeases(`Role "${roleName}"`, live);
        await roles.delete(tx, scope, role.id);
        const entry = roleEntry('delete', connection, role, { leases_forgotten: forgotten });
        await auditLogs.record(tx, actorOf(caller), entry);
        await recordAnswer(tx, caller, roleName);
        return role.statements.group;
      });
      // That of all roles of a template goes with the connection.
      if (group?.schemas)
        await databases.use(scope, connection, (session) => session.dropGroupRole(group)).catch(() => {});
    },
  };
}

/** Statements of its own take the template's place; what is not named stays as it was. */
function changedStatements(
  role: Role,
  { creation, revocation }: Pick<RoleChanges, 'creation' | 'revocation'>,
): RoleStatements | null {
  if (creation === undefined && revocation === undefined) return null;
  const { statements } = role;
  if (statements.group && (creation === undefined || revocation === undefined)) {
    const missing = creation === undefined ? 'creation_sql' : 'revocation_sql';
    throw validationError(missing, 'is required where statements take the place of a template');
  }
  return {
    creation: creation ?? statements.creation,
    revocation: revocation ?? statements.revocation,
    group: null,
  };
}

const WIRE_NAMES: Record<keyof RoleChanges, string> = {
  creation: 'creation_sql',
  revocation: 'revocation_sql',
  defaultTtlSeconds: 'default_ttl_seconds',
  maxTtlSeconds: 'max_ttl_seconds',
  usernameTemplate: 'username_template',
  maxLiveLeases: 'max_live_leases',
};

function changedFields(changes: RoleChanges): string[] {
  return (Object.keys(changes) as (keyof RoleChanges)[]).map((name) => WIRE_NAMES[name]);
}
