import type { Selectable, Updateable } from 'kysely';
import type { DbConnectionId, DbRoleId, Scope } from '../../../kernel/ids.js';
import { type Database, type Transaction, UniqueViolation } from '../../../platform/storage/database.js';
import { roleNameTaken } from '../errors.js';
import type { GroupRole, RoleStatements } from '../providers/engine.js';
import { dynDbTables, type RoleRow } from '../tables.js';

export interface Role {
  readonly id: DbRoleId;
  readonly connectionId: DbConnectionId;
  readonly name: string;
  readonly statements: RoleStatements;
  /** Whether the group role of the statements is known to be there. */
  readonly isGroupMade: boolean;
  readonly defaultTtlSeconds: number | null;
  readonly maxTtlSeconds: number | null;
  readonly usernameTemplate: string | null;
  readonly maxLiveLeases: number | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface RoleColumns {
  readonly statements?: RoleStatements;
  readonly isGroupMade?: boolean;
  readonly defaultTtlSeconds?: number | null;
  readonly maxTtlSeconds?: number | null;
  readonly usernameTemplate?: string | null;
  readonly maxLiveLeases?: number | null;
}

export type RoleStore = ReturnType<typeof createRoleStore>;

export function createRoleStore(db: Pick<Database, 'view'>) {
  const view = db.view(dynDbTables);

  return {
    async insert(tx: Transaction, scope: Scope, role: Role): Promise<void> {
      try {
        await view
          .scoped(scope, tx)
          .insertInto('dyn_db_roles')
          .values({
            id: role.id,
            connection_id: role.connectionId,
            name: role.name,
            ...statementColumns(role.statements),
            is_group_made: Number(role.isGroupMade),
            default_ttl_seconds: role.defaultTtlSeconds,
            max_ttl_seconds: role.maxTtlSeconds,
            username_template: role.usernameTemplate,
            max_live_leases: role.maxLiveLeases,
            created_at: role.createdAtMs,
            updated_at: role.updatedAtMs,
          })
          .execute();
      } catch (error) {
        if (error instanceof UniqueViolation) throw roleNameTaken(role.name);
        throw error;
      }
    },

    async find(
      scope: Scope,
      connectionId: DbConnectionId,
      name: string,
      tx?: Transaction,
    ): Promise<Role | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('dyn_db_roles')
        .selectAll()
        .where('connection_id', '=', connectionId)
        .where('name', '=', name)
        .executeTakeFirst();
      return row && roleOf(row);
    },

    async list(scope: Scope, connectionId: DbConnectionId, tx?: Transaction): Promise<Role[]> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('dyn_db_roles')
        .selectAll()
        .where('connection_id', '=', connectionId)
        .orderBy('name')
        .execute();
      return rows.map(roleOf);
    },

    async update(
      tx: Transaction,
      scope: Scope,
      id: DbRoleId,
      changes: RoleColumns,
      nowMs: number,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('dyn_db_roles')
        .set({ ...columnsOf(changes), updated_at: nowMs })
        .where('id', '=', id)
        .execute();
    },

    /** What is known of the group of that name: it is one for all roles of a template. */
    async setGroupMade(
      tx: Transaction,
      scope: Scope,
      connectionId: DbConnectionId,
      groupName: string,
      isMade: boolean,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('dyn_db_roles')
        .set({ is_group_made: Number(isMade) })
        .where('connection_id', '=', connectionId)
        .where('group_name', '=', groupName)
        .execute();
    },

    async delete(tx: Transaction, scope: Scope, id: DbRoleId): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('dyn_db_roles').where('id', '=', id).execute();
    },

    async deleteAllOf(tx: Transaction, scope: Scope, connectionId: DbConnectionId): Promise<void> {
      await view
        .scoped(scope, tx)
        .deleteFrom('dyn_db_roles')
        .where('connection_id', '=', connectionId)
        .execute();
    },
  };
}

function columnsOf(changes: RoleColumns): Updateable<RoleRow> {
  const columns = {
    ...(changes.statements && statementColumns(changes.statements)),
    is_group_made: changes.isGroupMade === undefined ? undefined : Number(changes.isGroupMade),
    default_ttl_seconds: changes.defaultTtlSeconds,
    max_ttl_seconds: changes.maxTtlSeconds,
    username_template: changes.usernameTemplate,
    max_live_leases: changes.maxLiveLeases,
  };
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined));
}

type StatementColumns = Pick<
  RoleRow,
  'creation_sql' | 'revocation_sql' | 'template' | 'group_name' | 'group_schemas'
>;

/** Roles and leases keep them in columns of the same names. */
export function statementColumns({ creation, revocation, group }: RoleStatements): StatementColumns {
  return {
    creation_sql: creation,
    revocation_sql: revocation,
    template: group?.template ?? null,
    group_name: group?.name ?? null,
    group_schemas: group?.schemas ? JSON.stringify(group.schemas) : null,
  };
}

export function statementsOf(row: StatementColumns): RoleStatements {
  return { creation: row.creation_sql, revocation: row.revocation_sql, group: groupOf(row) };
}

function groupOf({ template, group_name, group_schemas }: StatementColumns): GroupRole | null {
  if (template === null || group_name === null) return null;
  return {
    name: group_name,
    template,
    schemas: group_schemas === null ? null : (JSON.parse(group_schemas) as string[]),
  };
}

function roleOf(row: Selectable<RoleRow>): Role {
  return {
    id: row.id as DbRoleId,
    connectionId: row.connection_id as DbConnectionId,
    name: row.name,
    statements: statementsOf(row),
    isGroupMade: row.is_group_made === 1,
    defaultTtlSeconds: row.default_ttl_seconds,
    maxTtlSeconds: row.max_ttl_seconds,
    usernameTemplate: row.username_template,
    maxLiveLeases: row.max_live_leases,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}
