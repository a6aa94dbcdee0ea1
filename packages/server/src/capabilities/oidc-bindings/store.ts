import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { type ListOptions, offsetOf } from '../../platform/http/pagination.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { Provider } from './providers/profiles.js';
import { type OidcBindingRow, oidcBindingTables } from './tables.js';

/** Claim name to the values that will do. */
export type Claims = Readonly<Record<string, readonly string[]>>;

/** What a token of the binding may do. */
export type BindingAccess = { readonly roleIds: readonly string[] } | { readonly scopes: readonly string[] };

export interface BindingTerms {
  readonly name: string;
  readonly provider: Provider;
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** With stars, or to the letter; null = any. */
  readonly subject: string | null;
  readonly claims: Claims;
  readonly access: BindingAccess;
  readonly ttlSeconds: number;
  readonly enabled: boolean;
}

export interface OidcBinding extends BindingTerms {
  readonly id: string;
  readonly lastUsedAtMs: number | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** A binding of whatever tenant, also one that is off or was deleted. */
export interface FoundBinding extends OidcBinding {
  readonly tenantId: TenantId;
}

export type BindingListOptions = ListOptions<'created_at' | 'name'>;

export type OidcBindingStore = ReturnType<typeof createOidcBindingStore>;

export function createOidcBindingStore(db: Database) {
  const view = db.view(oidcBindingTables);

  async function setAnchors(
    tx: Transaction,
    scope: Scope,
    id: string,
    anchors: readonly Buffer[],
  ): Promise<void> {
    const queries = view.scoped(scope, tx);
    await queries.deleteFrom('oidc_binding_anchors').where('binding_id', '=', id).execute();
    if (anchors.length === 0) return;
    const rows = anchors.map((anchor) => ({ binding_id: id, anchor }));
    await queries.insertInto('oidc_binding_anchors').values(rows).execute();
  }

  return {
    async insert(
      tx: Transaction,
      scope: Scope,
      binding: OidcBinding,
      anchors: readonly Buffer[],
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('oidc_bindings')
        .values({
          id: binding.id,
          created_at: binding.createdAtMs,
          last_used_at: binding.lastUsedAtMs,
          deleted_at: null,
          ...columnsOf(binding),
        })
        .execute();
      await setAnchors(tx, scope, binding.id, anchors);
    },

    async find(scope: Scope, id: string, tx?: Transaction): Promise<OidcBinding | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('oidc_bindings')
        .selectAll()
        .where('id', '=', id.toLowerCase())
        .where('deleted_at', 'is', null)
        .executeTakeFirst();
      return row && bindingOf(row);
    },

    async count(scope: Scope, tx?: Transaction): Promise<number> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('oidc_bindings')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .where('deleted_at', 'is', null)
        .executeTakeFirstOrThrow();
      return row.total;
    },

    /** Those that are deleted and still kept among them. */
    async countKept(scope: Scope, tx: Transaction): Promise<number> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('oidc_bindings')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return row.total;
    },

    async list(scope: Scope, options: BindingListOptions): Promise<OidcBinding[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('oidc_bindings')
        .selectAll()
        .where('deleted_at', 'is', null)
        .orderBy(options.sort, options.order)
        .orderBy('id', options.order)
        .limit(options.perPage)
        .offset(offsetOf(options.page, options.perPage))
        .execute();
      return rows.map(bindingOf);
    },

    /** Those of one issuer, off or on. */
    async listOfIssuer(scope: Scope, issuer: string): Promise<OidcBinding[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('oidc_bindings')
        .selectAll()
        .where('issuer', '=', issuer)
        .where('deleted_at', 'is', null)
        .execute();
      return rows.map(bindingOf);
    },

    async update(
      tx: Transaction,
      scope: Scope,
      binding: OidcBinding,
      anchors: readonly Buffer[],
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('oidc_bindings')
        .set(columnsOf(binding))
        .where('id', '=', binding.id)
        .execute();
      await setAnchors(tx, scope, binding.id, anchors);
    },

    async setLastUsed(tx: Transaction, scope: Scope, id: string, atMs: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('oidc_bindings')
        .set({ last_used_at: atMs })
        .where('id', '=', id)
        .execute();
    },

    /** It is no binding any more, and stays as a row. */
    async delete(tx: Transaction, scope: Scope, id: string, nowMs: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('oidc_bindings')
        .set({ deleted_at: nowMs, enabled: 0 })
        .where('id', '=', id)
        .execute();
    },
  };
}

function columnsOf(binding: OidcBinding) {
  return {
    name: binding.name,
    provider: binding.provider,
    issuer: binding.issuer,
    audiences: JSON.stringify(binding.audiences),
    subject: binding.subject,
    claims: JSON.stringify(binding.claims),
    access: accessText(binding.access),
    ttl_seconds: binding.ttlSeconds,
    enabled: binding.enabled ? 1 : 0,
    updated_at: binding.updatedAtMs,
  };
}

export function bindingOf(row: Selectable<OidcBindingRow>): OidcBinding {
  return {
    id: row.id,
    name: row.name,
    provider: row.provider,
    issuer: row.issuer,
    audiences: JSON.parse(row.audiences) as string[],
    subject: row.subject,
    claims: JSON.parse(row.claims) as Claims,
    access: accessOf(row.access),
    ttlSeconds: row.ttl_seconds,
    enabled: row.enabled === 1,
    lastUsedAtMs: row.last_used_at,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}

type StoredAccess = { readonly role_ids: string[] } | { readonly scopes: string[] };

function accessText(access: BindingAccess): string {
  const stored = 'roleIds' in access ? { role_ids: access.roleIds } : { scopes: access.scopes };
  return JSON.stringify(stored);
}

function accessOf(text: string): BindingAccess {
  const stored = JSON.parse(text) as StoredAccess;
  return 'role_ids' in stored ? { roleIds: stored.role_ids } : { scopes: stored.scopes };
}
