import type { Selectable } from 'kysely';
import type { Scope } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { CaRole } from './roles.js';
import { type PkiRoleRow, pkiTables } from './tables.js';

export type RoleStore = ReturnType<typeof createRoleStore>;

export function createRoleStore(db: Database) {
  const view = db.view(pkiTables);

  return {
    /** By name or id; below that root alone. */
    async find(
      scope: Scope,
      rootId: string,
      nameOrId: string,
      tx?: Transaction,
    ): Promise<CaRole | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('pki_roles')
        .selectAll()
        .where('root_id', '=', rootId)
        .where((eb) => eb.or([eb('name', '=', nameOrId), eb('id', '=', nameOrId.toLowerCase())]))
        .executeTakeFirst();
      return row && roleOf(row);
    },

    async list(scope: Scope, rootId: string): Promise<CaRole[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('pki_roles')
        .selectAll()
        .where('root_id', '=', rootId)
        .orderBy('name', 'asc')
        .execute();
      return rows.map(roleOf);
    },

    async count(scope: Scope, rootId: string, tx: Transaction): Promise<number> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('pki_roles')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .where('root_id', '=', rootId)
        .executeTakeFirstOrThrow();
      return row.total;
    },

    /** Throws `UniqueViolation` where another role below the root has the name. */
    async insert(tx: Transaction, scope: Scope, role: CaRole): Promise<void> {
      const { id, rootId, createdAtMs } = role;
      await view
        .scoped(scope, tx)
        .insertInto('pki_roles')
        .values({ id, root_id: rootId, created_at: createdAtMs, ...columnsOf(role) })
        .execute();
    },

    /** The same of its new name. */
    async update(tx: Transaction, scope: Scope, role: CaRole): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('pki_roles')
        .set(columnsOf(role))
        .where('id', '=', role.id)
        .execute();
    },

    async delete(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('pki_roles').where('id', '=', id).execute();
    },
  };
}

function columnsOf(role: CaRole) {
  return {
    name: role.name,
    allowed_domains: JSON.stringify(role.allowedDomains),
    allow_subdomains: Number(role.allowSubdomains),
    allow_wildcards: Number(role.allowWildcards),
    allow_ip_sans: Number(role.allowIpSans),
    allow_acme: Number(role.allowAcme),
    acme_require_eab: Number(role.acmeRequireEab),
    max_ttl_seconds: role.maxTtlSeconds,
    default_ttl_seconds: role.defaultTtlSeconds,
    key_algorithm: role.keyAlgorithm,
    updated_at: role.updatedAtMs,
  };
}

function roleOf(row: Selectable<PkiRoleRow>): CaRole {
  return {
    id: row.id,
    rootId: row.root_id,
    name: row.name,
    allowedDomains: JSON.parse(row.allowed_domains),
    allowSubdomains: row.allow_subdomains === 1,
    allowWildcards: row.allow_wildcards === 1,
    allowIpSans: row.allow_ip_sans === 1,
    allowAcme: row.allow_acme === 1,
    acmeRequireEab: row.acme_require_eab === 1,
    maxTtlSeconds: row.max_ttl_seconds,
    defaultTtlSeconds: row.default_ttl_seconds,
    keyAlgorithm: row.key_algorithm,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}
