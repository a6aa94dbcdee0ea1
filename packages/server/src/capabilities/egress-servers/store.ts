import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { EgressPlace } from '../../platform/egress/egress.js';
import { type ListOptions, offsetOf } from '../../platform/http/pagination.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { type EgressServerRow, egressServerTables } from './tables.js';

export interface EgressServerTerms extends EgressPlace {
  readonly name: string;
  readonly username: string | null;
  readonly failoverId: string | null;
  readonly enabled: boolean;
}

export interface StoredEgressServer extends EgressServerTerms {
  readonly id: string;
  readonly scope: Scope;
  /** KCT1 envelope, bound to the row. */
  readonly sealedPassword: Buffer | null;
  readonly version: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export type EgressServerListOptions = ListOptions<'created_at' | 'name'>;

export function createEgressServerStore(db: Database) {
  const view = db.view(egressServerTables);

  return {
    async insert(tx: Transaction, server: StoredEgressServer): Promise<void> {
      await view
        .scoped(server.scope, tx)
        .insertInto('egress_servers')
        .values({ id: server.id, created_at: server.createdAtMs, ...columnsOf(server) })
        .execute();
    },

    async find(scope: Scope, id: string, tx?: Transaction): Promise<StoredEgressServer | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('egress_servers')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst();
      return row && serverOf(row);
    },

    async list(scope: Scope, options: EgressServerListOptions): Promise<StoredEgressServer[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('egress_servers')
        .selectAll()
        .orderBy(options.sort, options.order)
        .orderBy('id', options.order)
        .limit(options.perPage)
        .offset(offsetOf(options.page, options.perPage))
        .execute();
      return rows.map(serverOf);
    },

    /** A mode has few. */
    async listAll(scope: Scope, tx?: Transaction): Promise<StoredEgressServer[]> {
      const rows = await view.scoped(scope, tx).selectFrom('egress_servers').selectAll().execute();
      return rows.map(serverOf);
    },

    async count(scope: Scope): Promise<number> {
      const { total } = await view
        .scoped(scope)
        .selectFrom('egress_servers')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    async update(tx: Transaction, server: StoredEgressServer): Promise<void> {
      await view
        .scoped(server.scope, tx)
        .updateTable('egress_servers')
        .set(columnsOf(server))
        .where('id', '=', server.id)
        .execute();
    },

    async delete(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('egress_servers').where('id', '=', id).execute();
    },

    /** Null where none was ever set. */
    async defaultOf(scope: Scope, tx?: Transaction): Promise<string | null> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('egress_defaults')
        .select('egress_server_id')
        .executeTakeFirst();
      return row?.egress_server_id ?? null;
    },

    async setDefault(tx: Transaction, scope: Scope, id: string | null, nowMs: number): Promise<void> {
      const values = { egress_server_id: id, updated_at: nowMs };
      await view
        .scoped(scope, tx)
        .insertInto('egress_defaults')
        .values(values)
        .onConflict((conflict) => conflict.columns(['tenant_id', 'sandbox']).doUpdateSet(values))
        .execute();
    },
  };
}

function columnsOf(server: StoredEgressServer) {
  return {
    name: server.name,
    kind: server.kind,
    address: server.address,
    port: server.port,
    username: server.username,
    password_envelope: server.sealedPassword,
    failover_id: server.failoverId,
    enabled: Number(server.enabled),
    version: server.version,
    updated_at: server.updatedAtMs,
  };
}

function serverOf(row: Selectable<EgressServerRow>): StoredEgressServer {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    name: row.name,
    kind: row.kind,
    address: row.address,
    port: row.port,
    username: row.username,
    sealedPassword: row.password_envelope,
    failoverId: row.failover_id,
    enabled: row.enabled === 1,
    version: row.version,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}
