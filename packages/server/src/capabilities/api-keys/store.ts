import type { ApiKeyId, Scope, TenantId } from '../../kernel/ids.js';
import type { Grant } from '../../kernel/principal.js';
import type { KeyRateLimit } from '../../kernel/rate-limit.js';
import { offsetOf, type PageOptions } from '../../platform/http/pagination.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { KeyAccess } from '../permissions/index.js';
import { apiKeysTables } from './tables.js';

/** What a key may do, how often, and how long. */
export interface KeyTerms {
  readonly access: KeyAccess;
  readonly rateLimit: KeyRateLimit | null;
  readonly expiresAtMs: number | null;
}

export interface ApiKey extends KeyTerms {
  readonly id: ApiKeyId;
  readonly keyId: string;
  readonly prefix: string;
  readonly type: string;
  readonly name: string;
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number | null;
  readonly revokedAtMs: number | null;
}

export interface StoredCredential extends KeyTerms {
  readonly id: ApiKeyId;
  readonly scope: Scope;
  readonly keyId: string;
  readonly hash: Buffer;
}

/** A key is named by its row id or by its public half. */
export type KeyName = { readonly column: 'id' | 'key_id'; readonly value: string };

export type ApiKeyStore = ReturnType<typeof createApiKeyStore>;

const TERMS_COLUMNS = ['access', 'rate_limit_requests', 'rate_limit_window_sec', 'expires_at'] as const;

const CREDENTIAL_COLUMNS = ['id', 'tenant_id', 'sandbox', 'key_id', 'key_hash', ...TERMS_COLUMNS] as const;

const COLUMNS = [
  'id',
  'key_id',
  'key_prefix',
  'key_type',
  'name',
  'created_at',
  'last_used_at',
  'revoked_at',
  ...TERMS_COLUMNS,
] as const;

export function createApiKeyStore(db: Database) {
  const view = db.view(apiKeysTables);

  const activeById = view.define<{ id: string }, CredentialRow>('api_keys_active_by_id', (queries, arg) =>
    queries
      .selectFrom('api_keys')
      .select(CREDENTIAL_COLUMNS)
      .where('id', '=', arg('id') as ApiKeyId)
      .where('revoked_at', 'is', null),
  );
  const byHash = view.defineSystem<{ hash: Buffer }, CredentialRow>(
    'api_keys_by_hash',
    'credential_by_hash',
    (queries, arg) =>
      queries
        .selectFrom('api_keys')
        .select(CREDENTIAL_COLUMNS)
        .where('key_hash', '=', arg('hash'))
        .where('revoked_at', 'is', null),
  );

  return {
    async insert(
      tx: Transaction,
      scope: Scope,
      key: Omit<ApiKey, 'lastUsedAtMs' | 'revokedAtMs'> & { hash: Buffer },
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('api_keys')
        .values({
          id: key.id,
          key_id: key.keyId,
          key_hash: key.hash,
          key_prefix: key.prefix,
          key_type: key.type,
          name: key.name,
          created_at: key.createdAtMs,
          last_used_at: null,
          revoked_at: null,
          access: accessText(key.access),
          rate_limit_requests: key.rateLimit?.requests ?? null,
          rate_limit_window_sec: key.rateLimit?.windowSeconds ?? null,
          expires_at: key.expiresAtMs,
        })
        .execute();
    },

    async list(scope: Scope, { page, perPage, order }: PageOptions): Promise<ApiKey[]> {
      const rows = await view
        .aside(scope)
        .selectFrom('api_keys')
        .select(COLUMNS)
        .orderBy('created_at', order)
        .orderBy('id', order)
        .limit(perPage)
        .offset(offsetOf(page, perPage))
        .execute();
      return rows.map((row) => ({
        id: row.id,
        keyId: row.key_id,
        prefix: row.key_prefix,
        type: row.key_type,
        name: row.name,
        createdAtMs: row.created_at,
        lastUsedAtMs: row.last_used_at,
        revokedAtMs: row.revoked_at,
        ...termsOf(row),
      }));
    },

    async count(scope: Scope): Promise<number> {
      const { total } = await view
        .aside(scope)
        .selectFrom('api_keys')
        .select((select) => select.fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    /** Undefined when no active key has that name, so that of two concurrent revokes one finds nothing. */
    async revoke(
      tx: Transaction,
      scope: Scope,
      name: KeyName,
      nowMs: number,
    ): Promise<{ id: ApiKeyId; keyId: string; name: string } | undefined> {
      const row = await view
        .scoped(scope, tx)
        .updateTable('api_keys')
        .set({ revoked_at: nowMs })
        .where(name.column, '=', name.value as ApiKeyId)
        .where('revoked_at', 'is', null)
        .returning(['id', 'key_id', 'name'])
        .executeTakeFirst();
      return row && { id: row.id, keyId: row.key_id, name: row.name };
    },

    async findActiveByHash(hash: Buffer): Promise<StoredCredential | undefined> {
      const row = await byHash.first(null, { hash });
      return row && credentialOf(row);
    },

    async findActive(scope: Scope, id: ApiKeyId): Promise<StoredCredential | undefined> {
      const row = await activeById.first(scope, { id });
      return row && credentialOf(row);
    },

    /** Of a key that is there; revoked or not, they never change. */
    async findTerms(scope: Scope, id: ApiKeyId): Promise<KeyTerms> {
      const row = await view
        .scoped(scope)
        .selectFrom('api_keys')
        .select(TERMS_COLUMNS)
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      return termsOf(row);
    },

    async setLastUsed(tx: Transaction, scope: Scope, id: ApiKeyId, atMs: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('api_keys')
        .set({ last_used_at: atMs })
        .where('id', '=', id)
        .where((where) => where.or([where('last_used_at', 'is', null), where('last_used_at', '<', atMs)]))
        .execute();
    },
  };
}

type CredentialRow = TermsRow & {
  readonly id: ApiKeyId;
  readonly tenant_id: TenantId;
  readonly sandbox: 0 | 1;
  readonly key_id: string;
  readonly key_hash: Buffer;
};

function credentialOf(row: CredentialRow): StoredCredential {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id, sandbox: row.sandbox === 1 },
    keyId: row.key_id,
    hash: row.key_hash,
    ...termsOf(row),
  };
}

interface TermsRow {
  readonly access: string | null;
  readonly rate_limit_requests: number | null;
  readonly rate_limit_window_sec: number | null;
  readonly expires_at: number | null;
}

function termsOf(row: TermsRow): KeyTerms {
  const { rate_limit_requests: requests, rate_limit_window_sec: windowSeconds } = row;
  return {
    access: accessOf(row.access),
    rateLimit: requests === null || windowSeconds === null ? null : { requests, windowSeconds },
    expiresAtMs: row.expires_at,
  };
}

type StoredAccess = { full: true } | { full?: never; role_ids: string[]; grants: Grant[] };

function accessOf(text: string | null): KeyAccess {
  if (text === null) return { full: false, roleIds: [], grants: [] };
  const stored = JSON.parse(text) as StoredAccess;
  return stored.full ? { full: true } : { full: false, roleIds: stored.role_ids, grants: stored.grants };
}

function accessText(access: KeyAccess): string {
  const stored: StoredAccess = access.full
    ? { full: true }
    : { role_ids: [...access.roleIds], grants: [...access.grants] };
  return JSON.stringify(stored);
}
