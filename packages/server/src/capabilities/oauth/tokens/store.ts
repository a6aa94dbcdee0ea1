import type { OAuthFamilyId, OAuthTokenId, Scope, TenantId, UserId } from '../../../kernel/ids.js';
import type { Database, Insertion, Transaction } from '../../../platform/storage/database.js';
import { type OAuthTables, oauthTables } from '../tables.js';
import { scopesOf } from './scopes.js';
import type { TokenSource } from './sources.js';
import type { AccessTokenKey } from './token-format.js';

type TokenRow = Omit<OAuthTables['oauth_tokens'], 'tenant_id' | 'sandbox'>;
type Scoped<Row> = Row & { tenant_id: TenantId; sandbox: 0 | 1 };

export interface StoredToken {
  readonly id: OAuthTokenId;
  readonly scope: Scope;
  readonly hash: Buffer;
  readonly source: TokenSource;
  readonly grantType: string;
  readonly permissions: ReadonlySet<string>;
  readonly jkt: string | null;
  readonly familyId: OAuthFamilyId | null;
  readonly parentTokenId: OAuthTokenId | null;
  readonly ip: string | null;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly revokedAtMs: number | null;
}

export type TokenStore = ReturnType<typeof createTokenStore>;

const COLUMNS = [
  'id',
  'token_hash',
  'api_key_id',
  'oauth_client_id',
  'user_id',
  'binding_id',
  'source_epoch',
  'grant_type',
  'scopes',
  'cnf_jkt',
  'family_id',
  'parent_token_id',
  'ip_address',
  'issued_at',
  'expires_at',
  'revoked_at',
] as const;

/** Far below what a statement may have of parameters. */
const PARENTS_AT_ONCE = 500;

export function createTokenStore(db: Database) {
  const view = db.view(oauthTables);

  const byHash = view.defineSystem<{ hash: string }, Scoped<TokenRow> & { family_revoked_at: number | null }>(
    'oauth_tokens_by_hash',
    'credential_by_hash',
    (queries, arg) =>
      queries
        .selectFrom('oauth_tokens as t')
        .leftJoin('oauth_families as f', (join) =>
          join
            .onRef('f.tenant_id', '=', 't.tenant_id')
            .onRef('f.sandbox', '=', 't.sandbox')
            .onRef('f.id', '=', 't.family_id'),
        )
        .select(['t.tenant_id', 't.sandbox', ...COLUMNS.map((column) => `t.${column}` as const)])
        .select('f.revoked_at as family_revoked_at')
        .where('t.token_hash', '=', arg('hash')),
  );

  return {
    insertion(scope: Scope, row: TokenRow): Insertion {
      return view.insertion('oauth_tokens', scope, { ...row });
    },

    async insert(tx: Transaction, scope: Scope, row: TokenRow): Promise<void> {
      await view.scoped(scope, tx).insertInto('oauth_tokens').values(row).execute();
    },

    /** Revoked or not; revoked also where its family is. */
    async findByKey(key: AccessTokenKey): Promise<StoredToken | undefined> {
      // Those minted by a version before docs/decisions/0079 stand under their hash alone.
      const row =
        (await byHash.first(null, { hash: keyText(key) })) ??
        (await byHash.first(null, { hash: hashText(key.hash) }));
      if (!row) return undefined;
      const token = tokenOf(row, scopeOf(row));
      return { ...token, revokedAtMs: token.revokedAtMs ?? row.family_revoked_at };
    },

    async find(scope: Scope, id: OAuthTokenId): Promise<StoredToken | undefined> {
      const row = await view
        .scoped(scope)
        .selectFrom('oauth_tokens')
        .select(COLUMNS)
        .where('id', '=', id)
        .executeTakeFirst();
      return row && tokenOf(row, scope);
    },

    /** In the order in which they were minted. */
    async listOfFamily(scope: Scope, familyId: OAuthFamilyId, limit: number): Promise<StoredToken[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('oauth_tokens')
        .select(COLUMNS)
        .where('family_id', '=', familyId)
        .orderBy('issued_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit)
        .execute();
      return rows.map((row) => tokenOf(row, scope)).reverse();
    },

    async listOfParent(scope: Scope, parentId: OAuthTokenId, limit: number): Promise<StoredToken[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('oauth_tokens')
        .select(COLUMNS)
        .where('parent_token_id', '=', parentId)
        .orderBy('issued_at')
        .orderBy('id')
        .limit(limit)
        .execute();
      return rows.map((row) => tokenOf(row, scope));
    },

    /** As the transaction sees it, and as nobody changes it beside a commit of that. */
    async isLive(tx: Transaction, scope: Scope, id: OAuthTokenId, nowMs: number): Promise<boolean> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('oauth_tokens')
        .select('id')
        .where('id', '=', id)
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', nowMs)
        .executeTakeFirst();
      return row !== undefined;
    },

    /** And all that was got for it by exchange, which never outlives it (auth.md §4); false where it was revoked already. */
    async revoke(tx: Transaction, scope: Scope, id: OAuthTokenId, nowMs: number): Promise<boolean> {
      const live = view
        .scoped(scope, tx)
        .updateTable('oauth_tokens')
        .set({ revoked_at: nowMs })
        .where('revoked_at', 'is', null);
      const [revoked] = await live.where('id', '=', id).returning('id').execute();
      const parents = revoked ? [revoked.id] : [];
      while (parents.length > 0) {
        const some = parents.splice(0, PARENTS_AT_ONCE);
        const children = await live.where('parent_token_id', 'in', some).returning('id').execute();
        for (const child of children) parents.push(child.id);
      }
      return revoked !== undefined;
    },

    /** What acts for a user in that tenant, in both modes. */
    async revokeOfUser(tx: Transaction, tenantId: TenantId, userId: UserId, nowMs: number): Promise<number> {
      const rows = await view
        .system('people', tx)
        .updateTable('oauth_tokens')
        .set({ revoked_at: nowMs })
        .where('tenant_id', '=', tenantId)
        .where('user_id', '=', userId)
        .where('revoked_at', 'is', null)
        .returning('id')
        .execute();
      return rows.length;
    },

    /** Those that ended before; how many. */
    async removeEnded(tx: Transaction, beforeMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const ended = await queries
        .selectFrom('oauth_tokens')
        .select('token_hash')
        .where('expires_at', '<', beforeMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      if (ended.length === 0) return 0;
      const removed = await queries
        .deleteFrom('oauth_tokens')
        .where(
          'token_hash',
          'in',
          ended.map(({ token_hash }) => token_hash),
        )
        .executeTakeFirst();
      return Number(removed.numDeletedRows);
    },
  };
}

export function scopeOf(row: { tenant_id: TenantId; sandbox: 0 | 1 }): Scope {
  return { tenantId: row.tenant_id, sandbox: row.sandbox === 1 };
}

/** As it stands in its column. */
export function keyText({ hash, time }: AccessTokenKey): string {
  return time + hashText(hash);
}

const HASH_CHARACTERS = 43;

function hashText(hash: Buffer): string {
  return hash.toString('base64url');
}

function tokenOf(row: TokenRow, scope: Scope): StoredToken {
  return {
    id: row.id,
    scope,
    hash: Buffer.from(row.token_hash.slice(-HASH_CHARACTERS), 'base64url'),
    source: sourceOf(row),
    grantType: row.grant_type,
    permissions: scopesOf(row.scopes),
    jkt: row.cnf_jkt,
    familyId: row.family_id,
    parentTokenId: row.parent_token_id,
    ip: row.ip_address,
    issuedAtMs: row.issued_at,
    expiresAtMs: row.expires_at,
    revokedAtMs: row.revoked_at,
  };
}

type SourceColumns = Pick<
  TokenRow,
  'api_key_id' | 'oauth_client_id' | 'user_id' | 'binding_id' | 'source_epoch'
>;

export function sourceColumnsOf(source: TokenSource): SourceColumns {
  return {
    api_key_id: source.kind === 'api_key' ? source.apiKeyId : null,
    oauth_client_id: source.kind === 'client' || source.kind === 'user' ? source.oauthClientId : null,
    user_id: source.kind === 'user' ? source.userId : null,
    binding_id: source.kind === 'binding' ? source.bindingId : null,
    source_epoch: source.kind === 'client' || source.kind === 'user' ? source.epoch : 0,
  };
}

function sourceOf(row: SourceColumns): TokenSource {
  const { api_key_id: apiKeyId, oauth_client_id: oauthClientId, user_id: userId } = row;
  if (apiKeyId !== null) return { kind: 'api_key', apiKeyId };
  if (oauthClientId === null) return { kind: 'binding', bindingId: row.binding_id! };
  const epoch = row.source_epoch;
  return userId === null
    ? { kind: 'client', oauthClientId, epoch }
    : { kind: 'user', userId, oauthClientId, epoch };
}
