import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { type ListOptions, offsetOf } from '../../platform/http/pagination.js';
import { type Database, type Transaction, UniqueViolation } from '../../platform/storage/database.js';
import { sameName } from './errors.js';
import { foldName } from './names.js';
import { type SecretRow, type SecretType, secretTables } from './tables.js';
import type { OnSecretWrite, StoredSecret } from './types.js';

export type SecretListOptions = ListOptions<'created_at' | 'name' | 'base_environment'>;

export interface SecretSummary extends StoredSecret {
  /** In how many environments it has a value of its own. */
  readonly environmentCount: number;
}

export type SecretStore = ReturnType<typeof createSecretStore>;

export function createSecretStore(db: Database, onWrite: OnSecretWrite = async () => {}) {
  const view = db.view(secretTables);

  async function one(
    scope: Scope,
    column: 'id' | 'name_folded',
    value: string,
    tx?: Transaction,
  ): Promise<StoredSecret | undefined> {
    const row = await view
      .scoped(scope, tx)
      .selectFrom('secrets')
      .selectAll()
      .where(column, '=', value)
      .executeTakeFirst();
    return row && secretOf(row);
  }

  return {
    /** 409 where a secret of the mode is called that. */
    async insert(tx: Transaction, secret: StoredSecret): Promise<void> {
      await onWrite(tx, secret.scope);
      await refusingSameName(secret.name, () =>
        view
          .scoped(secret.scope, tx)
          .insertInto('secrets')
          .values({
            id: secret.id,
            secret_type: secret.type,
            created_by: secret.createdBy,
            created_at: secret.createdAtMs,
            ...columnsOf(secret),
          })
          .execute(),
      );
    },

    find: (scope: Scope, id: string, tx?: Transaction) => one(scope, 'id', id, tx),
    findByName: (scope: Scope, name: string, tx?: Transaction) =>
      one(scope, 'name_folded', foldName(name), tx),

    async list(scope: Scope, { sort, order, page, perPage }: SecretListOptions): Promise<SecretSummary[]> {
      const rows = await view
        .aside(scope)
        .selectFrom('secrets')
        .selectAll()
        .orderBy(sort, order)
        .orderBy('id', order)
        .limit(perPage)
        .offset(offsetOf(page, perPage))
        .execute();
      if (rows.length === 0) return [];
      const counts = await view
        .scoped(scope)
        .selectFrom('secret_values')
        .select(['secret_id', ({ fn }) => fn.countAll<number>().as('count')])
        .where(
          'secret_id',
          'in',
          rows.map(({ id }) => id),
        )
        .groupBy('secret_id')
        .execute();
      const countOf = new Map(counts.map(({ secret_id, count }) => [secret_id, count]));
      return rows.map((row) => ({ ...secretOf(row), environmentCount: countOf.get(row.id) ?? 0 }));
    },

    async count(scope: Scope): Promise<number> {
      const { total } = await view
        .aside(scope)
        .selectFrom('secrets')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    async countIn(tx: Transaction, scope: Scope): Promise<number> {
      const { total } = await view
        .scoped(scope, tx)
        .selectFrom('secrets')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    /** In order of their names. */
    async names(scope: Scope): Promise<string[]> {
      const rows = await view
        .aside(scope)
        .selectFrom('secrets')
        .select('name')
        .orderBy('name')
        .orderBy('id')
        .execute();
      return rows.map(({ name }) => name);
    },

    async update(tx: Transaction, secret: StoredSecret): Promise<void> {
      await onWrite(tx, secret.scope);
      await refusingSameName(secret.name, () =>
        view
          .scoped(secret.scope, tx)
          .updateTable('secrets')
          .set(columnsOf(secret))
          .where('id', '=', secret.id)
          .execute(),
      );
    },

    /** With its values; what else belongs to it goes first. */
    async delete(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await onWrite(tx, scope);
      const queries = view.scoped(scope, tx);
      await queries.deleteFrom('secret_values').where('secret_id', '=', id).execute();
      await queries.deleteFrom('secrets').where('id', '=', id).execute();
    },

    async countOfBase(tx: Transaction, scope: Scope, environment: string): Promise<number> {
      const { total } = await view
        .scoped(scope, tx)
        .selectFrom('secrets')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .where('base_environment', '=', environment)
        .executeTakeFirstOrThrow();
      return total;
    },

    async renameEnvironment(tx: Transaction, scope: Scope, from: string, to: string): Promise<void> {
      await onWrite(tx, scope);
      const queries = view.scoped(scope, tx);
      await queries
        .updateTable('secrets')
        .set({ base_environment: to })
        .where('base_environment', '=', from)
        .execute();
      await queries
        .updateTable('secret_values')
        .set({ environment_name: to })
        .where('environment_name', '=', from)
        .execute();
    },
  };
}

/** Of two that take a name at once one is refused by the database. */
async function refusingSameName(name: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (error instanceof UniqueViolation) throw sameName(name);
    throw error;
  }
}

function columnsOf(secret: StoredSecret) {
  return {
    name: secret.name,
    name_folded: foldName(secret.name),
    base_environment: secret.baseEnvironment,
    description: secret.description,
    collection_id: secret.collectionId,
    expires_at: secret.expiresAtMs,
    is_expiry_strict: Number(secret.isExpiryStrict),
    allowed_hosts: secret.allowedHosts && JSON.stringify(secret.allowedHosts),
    updated_at: secret.updatedAtMs,
  };
}

export function secretOf(row: Selectable<SecretRow>): StoredSecret {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    name: row.name,
    type: row.secret_type as SecretType,
    baseEnvironment: row.base_environment,
    description: row.description,
    collectionId: row.collection_id,
    expiresAtMs: row.expires_at,
    isExpiryStrict: row.is_expiry_strict === 1,
    allowedHosts: row.allowed_hosts === null ? null : (JSON.parse(row.allowed_hosts) as string[]),
    createdBy: row.created_by,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}
