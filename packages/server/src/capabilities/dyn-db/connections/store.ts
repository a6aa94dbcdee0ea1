import type { Selectable, Updateable } from 'kysely';
import type { DbConnectionId, Scope } from '../../../kernel/ids.js';
import { type Database, type Transaction, UniqueViolation } from '../../../platform/storage/database.js';
import { connectionNameTaken } from '../errors.js';
import type { EngineName } from '../providers/engine.js';
import { type ConnectionRow, dynDbTables, type ExecutionMode } from '../tables.js';
import type { ConnectOptions } from './options.js';

/** Where the database is, and who logs in to it. */
export interface Destination {
  readonly host: string;
  /** Null = the engine's. */
  readonly port: number | null;
  readonly databaseName: string | null;
  readonly adminUsername: string;
  readonly connectOptions: ConnectOptions;
}

export interface Connection extends Destination {
  readonly id: DbConnectionId;
  readonly name: string;
  readonly engine: EngineName;
  readonly executionMode: ExecutionMode;
  readonly passwordEnvelope: Buffer;
  /** Of a rotation that has begun and not ended. */
  readonly nextPasswordEnvelope: Buffer | null;
  readonly defaultTtlSeconds: number;
  readonly maxTtlSeconds: number;
  readonly usernameTemplate: string | null;
  readonly maxLiveLeases: number | null;
  readonly enabled: boolean;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface ConnectionColumns extends Partial<Destination> {
  readonly passwordEnvelope?: Buffer;
  readonly nextPasswordEnvelope?: Buffer | null;
  readonly defaultTtlSeconds?: number;
  readonly maxTtlSeconds?: number;
  readonly usernameTemplate?: string | null;
  readonly maxLiveLeases?: number | null;
  readonly enabled?: boolean;
}

export type ConnectionStore = ReturnType<typeof createConnectionStore>;

export function createConnectionStore(db: Pick<Database, 'view'>) {
  const view = db.view(dynDbTables);

  return {
    async insert(tx: Transaction, scope: Scope, connection: Connection): Promise<void> {
      try {
        await view
          .scoped(scope, tx)
          .insertInto('dyn_db_connections')
          .values({
            id: connection.id,
            name: connection.name,
            engine: connection.engine,
            execution_mode: connection.executionMode,
            host: connection.host,
            port: connection.port,
            database_name: connection.databaseName,
            admin_username: connection.adminUsername,
            admin_password_envelope: connection.passwordEnvelope,
            next_password_envelope: null,
            default_ttl_seconds: connection.defaultTtlSeconds,
            max_ttl_seconds: connection.maxTtlSeconds,
            connect_options: JSON.stringify(connection.connectOptions),
            username_template: connection.usernameTemplate,
            max_live_leases: connection.maxLiveLeases,
            enabled: Number(connection.enabled),
            created_at: connection.createdAtMs,
            updated_at: connection.updatedAtMs,
          })
          .execute();
      } catch (error) {
        if (error instanceof UniqueViolation) throw connectionNameTaken(connection.name);
        throw error;
      }
    },

    async find(scope: Scope, name: string, tx?: Transaction): Promise<Connection | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('dyn_db_connections')
        .selectAll()
        .where('name', '=', name)
        .executeTakeFirst();
      return row && connectionOf(row);
    },

    async findById(scope: Scope, id: DbConnectionId, tx?: Transaction): Promise<Connection | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('dyn_db_connections')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst();
      return row && connectionOf(row);
    },

    async count(scope: Scope, tx: Transaction): Promise<number> {
      const { total } = await view
        .scoped(scope, tx)
        .selectFrom('dyn_db_connections')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    async list(scope: Scope): Promise<Connection[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('dyn_db_connections')
        .selectAll()
        .orderBy('name')
        .execute();
      return rows.map(connectionOf);
    },

    async update(
      tx: Transaction,
      scope: Scope,
      id: DbConnectionId,
      changes: ConnectionColumns,
      nowMs: number,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('dyn_db_connections')
        .set({ ...columnsOf(changes), updated_at: nowMs })
        .where('id', '=', id)
        .execute();
    },

    /** A rotation has ended, if it is still the one that the connection names: a password set since then stands. */
    async settlePassword(
      tx: Transaction,
      scope: Scope,
      { id, nextPasswordEnvelope }: Pick<Connection, 'id' | 'nextPasswordEnvelope'>,
      passwordEnvelope: Buffer,
      nowMs: number,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('dyn_db_connections')
        .set({ admin_password_envelope: passwordEnvelope, next_password_envelope: null, updated_at: nowMs })
        .where('id', '=', id)
        .where('next_password_envelope', '=', nextPasswordEnvelope)
        .execute();
    },

    async delete(tx: Transaction, scope: Scope, id: DbConnectionId): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('dyn_db_connections').where('id', '=', id).execute();
    },
  };
}

function columnsOf(changes: ConnectionColumns): Updateable<ConnectionRow> {
  const columns = {
    host: changes.host,
    port: changes.port,
    database_name: changes.databaseName,
    admin_username: changes.adminUsername,
    connect_options: changes.connectOptions && JSON.stringify(changes.connectOptions),
    admin_password_envelope: changes.passwordEnvelope,
    next_password_envelope: changes.nextPasswordEnvelope,
    default_ttl_seconds: changes.defaultTtlSeconds,
    max_ttl_seconds: changes.maxTtlSeconds,
    username_template: changes.usernameTemplate,
    max_live_leases: changes.maxLiveLeases,
    enabled: changes.enabled === undefined ? undefined : Number(changes.enabled),
  };
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined));
}

function connectionOf(row: Selectable<ConnectionRow>): Connection {
  return {
    id: row.id as DbConnectionId,
    name: row.name,
    engine: row.engine,
    executionMode: row.execution_mode,
    host: row.host,
    port: row.port,
    databaseName: row.database_name,
    adminUsername: row.admin_username,
    passwordEnvelope: row.admin_password_envelope,
    nextPasswordEnvelope: row.next_password_envelope,
    defaultTtlSeconds: row.default_ttl_seconds,
    maxTtlSeconds: row.max_ttl_seconds,
    connectOptions: JSON.parse(row.connect_options) as ConnectOptions,
    usernameTemplate: row.username_template,
    maxLiveLeases: row.max_live_leases,
    enabled: row.enabled === 1,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}
