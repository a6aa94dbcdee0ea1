import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { type EnvironmentRow, environmentTables } from './tables.js';

/** What a PATCH may change. */
export interface EnvironmentTerms {
  /** By which all that is of an environment refers to it. */
  readonly name: string;
  readonly displayName: string | null;
  readonly description: string | null;
  readonly color: string;
  readonly isDefault: boolean;
  /** What `{{var:KEY}}` stands for, not secret (dataplane.md §2.2). */
  readonly variables: Readonly<Record<string, string>>;
}

export interface Environment extends EnvironmentTerms {
  readonly id: string;
  readonly scope: Scope;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export type EnvironmentStore = ReturnType<typeof createEnvironmentStore>;

export function createEnvironmentStore(db: Database) {
  const view = db.view(environmentTables);

  async function one(
    scope: Scope,
    column: 'id' | 'name' | 'is_default',
    value: string | number,
    tx?: Transaction,
  ): Promise<Environment | undefined> {
    const row = await view
      .scoped(scope, tx)
      .selectFrom('environments')
      .selectAll()
      .where(column, '=', value)
      .executeTakeFirst();
    return row && environmentOf(row);
  }

  return {
    /** `UniqueViolation` where the mode has one of that name. */
    async insert(tx: Transaction, environment: Environment): Promise<void> {
      await view
        .scoped(environment.scope, tx)
        .insertInto('environments')
        .values({ id: environment.id, created_at: environment.createdAtMs, ...columnsOf(environment) })
        .execute();
    },

    find: (scope: Scope, id: string, tx?: Transaction) => one(scope, 'id', id, tx),
    findByName: (scope: Scope, name: string, tx?: Transaction) => one(scope, 'name', name, tx),
    findDefault: (scope: Scope, tx?: Transaction) => one(scope, 'is_default', 1, tx),

    /** In the order in which they were made. */
    async list(scope: Scope): Promise<Environment[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('environments')
        .selectAll()
        .orderBy('created_at')
        .orderBy('id')
        .execute();
      return rows.map(environmentOf);
    },

    async count(scope: Scope, tx?: Transaction): Promise<number> {
      const { total } = await view
        .scoped(scope, tx)
        .selectFrom('environments')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    async variablesOf(scope: Scope): Promise<Map<string, ReadonlyMap<string, string>>> {
      const rows = await view
        .scoped(scope)
        .selectFrom('environments')
        .select(['name', 'variables'])
        .where('variables', 'is not', null)
        .execute();
      return new Map(rows.map((row) => [row.name, new Map(Object.entries(variablesIn(row.variables)))]));
    },

    async update(tx: Transaction, environment: Environment): Promise<void> {
      await view
        .scoped(environment.scope, tx)
        .updateTable('environments')
        .set(columnsOf(environment))
        .where('id', '=', environment.id)
        .execute();
    },

    async clearDefault(tx: Transaction, scope: Scope): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('environments')
        .set({ is_default: 0 })
        .where('is_default', '=', 1)
        .execute();
    },

    async delete(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('environments').where('id', '=', id).execute();
    },
  };
}

function columnsOf(environment: Environment) {
  return {
    name: environment.name,
    display_name: environment.displayName,
    description: environment.description,
    color: environment.color,
    is_default: Number(environment.isDefault),
    variables: variablesText(environment.variables),
    updated_at: environment.updatedAtMs,
  };
}

function environmentOf(row: Selectable<EnvironmentRow>): Environment {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    name: row.name,
    displayName: row.display_name,
    description: row.description,
    color: row.color,
    isDefault: row.is_default === 1,
    variables: variablesIn(row.variables),
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}

function variablesText(variables: Readonly<Record<string, string>>): string | null {
  return Object.keys(variables).length === 0 ? null : JSON.stringify(variables);
}

function variablesIn(text: string | null): Readonly<Record<string, string>> {
  return text === null ? {} : (JSON.parse(text) as Record<string, string>);
}
