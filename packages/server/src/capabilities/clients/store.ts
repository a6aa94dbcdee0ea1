import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { type ListOptions, offsetOf } from '../../platform/http/pagination.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { type ClientRow, type ClientType, clientTables } from './tables.js';

export type Notes = Readonly<Record<string, unknown>>;

/** What a PATCH may change. */
export interface ClientTerms {
  readonly name: string;
  readonly type: ClientType;
  /** As it was sent; empty = none. */
  readonly ipAddress: string;
  readonly ipNotes: Notes;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly collectionId: string | null;
  /** Of a secret of the type `string`, which signs its calls; null = it signs none. */
  readonly signingSecretId: string | null;
}

export interface Client extends ClientTerms {
  readonly id: string;
  readonly scope: Scope;
  readonly createdBy: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface ClientListOptions extends ListOptions<'created_at' | 'name' | 'type' | 'ip_address'> {
  readonly type?: ClientType | undefined;
}

export type ClientStore = ReturnType<typeof createClientStore>;

export function createClientStore(db: Database) {
  const view = db.view(clientTables);

  return {
    async insert(tx: Transaction, client: Client): Promise<void> {
      await view
        .scoped(client.scope, tx)
        .insertInto('clients')
        .values({
          id: client.id,
          created_by: client.createdBy,
          created_at: client.createdAtMs,
          ...columnsOf(client),
        })
        .execute();
    },

    async find(scope: Scope, id: string, tx?: Transaction): Promise<Client | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('clients')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst();
      return row && clientOf(row);
    },

    async list(scope: Scope, options: ClientListOptions): Promise<Client[]> {
      let query = view.aside(scope).selectFrom('clients').selectAll();
      if (options.type !== undefined) query = query.where('type', '=', options.type);
      const rows = await query
        .orderBy(options.sort, options.order)
        .orderBy('id', options.order)
        .limit(options.perPage)
        .offset(offsetOf(options.page, options.perPage))
        .execute();
      return rows.map(clientOf);
    },

    async count(scope: Scope, type?: ClientType): Promise<number> {
      const all = view
        .aside(scope)
        .selectFrom('clients')
        .select(({ fn }) => fn.countAll<number>().as('total'));
      const query = type === undefined ? all : all.where('type', '=', type);
      return (await query.executeTakeFirstOrThrow()).total;
    },

    async countSigningBy(tx: Transaction, scope: Scope, secretId: string): Promise<number> {
      const { total } = await view
        .scoped(scope, tx)
        .selectFrom('clients')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .where('signing_secret_id', '=', secretId)
        .executeTakeFirstOrThrow();
      return total;
    },

    async countIn(tx: Transaction, scope: Scope): Promise<number> {
      const { total } = await view
        .scoped(scope, tx)
        .selectFrom('clients')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    async update(tx: Transaction, client: Client): Promise<void> {
      await view
        .scoped(client.scope, tx)
        .updateTable('clients')
        .set(columnsOf(client))
        .where('id', '=', client.id)
        .execute();
    },

    /** What refers to it goes first. */
    async delete(tx: Transaction, scope: Scope, id: string): Promise<void> {
      const queries = view.scoped(scope, tx);
      await queries.deleteFrom('client_assignments').where('client_id', '=', id).execute();
      await queries.deleteFrom('client_credentials').where('client_id', '=', id).execute();
      await queries.deleteFrom('clients').where('id', '=', id).execute();
    },
  };
}

function columnsOf(client: Client) {
  return {
    name: client.name,
    type: client.type,
    ip_address: client.ipAddress,
    ip_notes: JSON.stringify(client.ipNotes),
    description: client.description,
    enabled: Number(client.enabled),
    collection_id: client.collectionId,
    signing_secret_id: client.signingSecretId,
    updated_at: client.updatedAtMs,
  };
}

function clientOf(row: Selectable<ClientRow>): Client {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    name: row.name,
    type: row.type,
    ipAddress: row.ip_address,
    ipNotes: JSON.parse(row.ip_notes) as Notes,
    description: row.description,
    enabled: row.enabled === 1,
    collectionId: row.collection_id,
    signingSecretId: row.signing_secret_id,
    createdBy: row.created_by,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}
