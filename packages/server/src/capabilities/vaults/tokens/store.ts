import type { Selectable } from 'kysely';
import {
  type ApiKeyId,
  isUuid,
  type Scope,
  type TokenId,
  type UserId,
  type VaultId,
} from '../../../kernel/ids.js';
import { type ListOptions, offsetOf } from '../../../platform/http/pagination.js';
import type { Database, Insertion, Transaction } from '../../../platform/storage/database.js';
import type { Metadata } from '../store.js';
import { type VaultTokenRow, vaultTables } from '../tables.js';

/** A token without its value. */
export interface Token {
  readonly id: TokenId;
  readonly vaultId: VaultId;
  readonly token: string;
  readonly createdAtMs: number;
  readonly createdByApiKeyId: ApiKeyId | null;
  readonly createdByUserId: UserId | null;
}

export interface StoredToken extends Token {
  readonly keyVersion: number;
  readonly ciphertext: Buffer;
  readonly metadata: Metadata | null;
}

export type TokenStore = ReturnType<typeof createTokenStore>;

const TOKEN_COLUMNS = [
  'id',
  'vault_id',
  'token',
  'created_at',
  'created_by_api_key_id',
  'created_by_user_id',
] as const;
const STORED_COLUMNS = [...TOKEN_COLUMNS, 'crypto_key_version', 'ciphertext', 'metadata'] as const;
type TokenColumns = Pick<Selectable<VaultTokenRow>, (typeof TOKEN_COLUMNS)[number]>;
type StoredColumns = Pick<Selectable<VaultTokenRow>, (typeof STORED_COLUMNS)[number]>;

export function createTokenStore(db: Database) {
  const view = db.view(vaultTables);

  const byId = view.define<{ id: string }, StoredColumns>('vault_token_by_id', (queries, arg) =>
    queries.selectFrom('vault_tokens').select(STORED_COLUMNS).where('id', '=', arg('id')),
  );
  const inVault = view.define<{ vault_id: string; token: string }, StoredColumns>(
    'vault_token_in_vault',
    (queries, arg) =>
      queries
        .selectFrom('vault_tokens')
        .select(STORED_COLUMNS)
        .where('token', '=', arg('token'))
        .where('vault_id', '=', arg('vault_id')),
  );
  const inAnyVault = view.define<{ token: string }, StoredColumns>(
    'vault_token_in_any_vault',
    (queries, arg) =>
      queries.selectFrom('vault_tokens').select(STORED_COLUMNS).where('token', '=', arg('token')).limit(2),
  );

  /** A row id comes before a token text that looks like one. */
  async function findById(scope: Scope, idOrToken: string): Promise<StoredToken | undefined> {
    if (!isUuid(idOrToken)) return undefined;
    const row = await byId.first(scope, { id: idOrToken.toLowerCase() });
    return row && storedTokenOf(row);
  }

  return {
    insertion(scope: Scope, token: StoredToken): Insertion {
      return view.insertion('vault_tokens', scope, {
        id: token.id,
        vault_id: token.vaultId,
        token: token.token,
        crypto_key_version: token.keyVersion,
        ciphertext: token.ciphertext,
        metadata: token.metadata && JSON.stringify(token.metadata),
        created_at: token.createdAtMs,
        created_by_api_key_id: token.createdByApiKeyId,
        created_by_user_id: token.createdByUserId,
      });
    },

    async findInVault(scope: Scope, vaultId: VaultId, idOrToken: string): Promise<StoredToken | undefined> {
      const named = await findById(scope, idOrToken);
      if (named?.vaultId === vaultId) return named;
      const row = await inVault.first(scope, { vault_id: vaultId, token: idOrToken });
      return row && storedTokenOf(row);
    },

    /** Two when the text stands in more than one vault; no more are read. */
    async findInAnyVault(scope: Scope, idOrToken: string): Promise<StoredToken[]> {
      const named = await findById(scope, idOrToken);
      if (named) return [named];
      return (await inAnyVault.all(scope, { token: idOrToken })).map(storedTokenOf);
    },

    async listTaken(scope: Scope, vaultId: VaultId, tokens: readonly string[]): Promise<Set<string>> {
      const rows = await view
        .scoped(scope)
        .selectFrom('vault_tokens')
        .select('token')
        .where('vault_id', '=', vaultId)
        .where('token', 'in', [...tokens])
        .execute();
      return new Set(rows.map((row) => row.token));
    },

    async count(scope: Scope, vaultId: VaultId, tx?: Transaction): Promise<number> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('vault_tokens')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .where('vault_id', '=', vaultId)
        .executeTakeFirstOrThrow();
      return row.total;
    },

    async hasAny(tx: Transaction, scope: Scope, vaultId: VaultId): Promise<boolean> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('vault_tokens')
        .select('id')
        .where('vault_id', '=', vaultId)
        .limit(1)
        .executeTakeFirst();
      return row !== undefined;
    },

    async list(scope: Scope, vaultId: VaultId, options: ListOptions<'created_at'>): Promise<Token[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('vault_tokens')
        .select(TOKEN_COLUMNS)
        .where('vault_id', '=', vaultId)
        .orderBy(options.sort, options.order)
        .orderBy('id', options.order)
        .limit(options.perPage)
        .offset(offsetOf(options.page, options.perPage))
        .execute();
      return rows.map(tokenOf);
    },

    /** False when it was gone already. */
    async delete(tx: Transaction, scope: Scope, id: TokenId): Promise<boolean> {
      const rows = await view
        .scoped(scope, tx)
        .deleteFrom('vault_tokens')
        .where('id', '=', id)
        .returning('id')
        .execute();
      return rows.length > 0;
    },

    /**
     * At most `rowsMax` of the vault's tokens; returns how many there were. The ids are read first: a limit inside the
     * delete makes PostgreSQL compare every row with every row while the table has no statistics.
     */
    async deleteSome(tx: Transaction, scope: Scope, vaultId: VaultId, rowsMax: number): Promise<number> {
      const queries = view.scoped(scope, tx);
      const rows = await queries
        .selectFrom('vault_tokens')
        .select('id')
        .where('vault_id', '=', vaultId)
        .limit(rowsMax)
        .execute();
      if (rows.length === 0) return 0;
      const ids = rows.map((row) => row.id);
      await queries.deleteFrom('vault_tokens').where('id', 'in', ids).execute();
      return ids.length;
    },
  };
}

function tokenOf(row: TokenColumns): Token {
  return {
    id: row.id as TokenId,
    vaultId: row.vault_id as VaultId,
    token: row.token,
    createdAtMs: row.created_at,
    createdByApiKeyId: row.created_by_api_key_id as ApiKeyId | null,
    createdByUserId: row.created_by_user_id as UserId | null,
  };
}

function storedTokenOf(row: StoredColumns): StoredToken {
  return {
    ...tokenOf(row),
    keyVersion: row.crypto_key_version,
    ciphertext: row.ciphertext,
    metadata: row.metadata === null ? null : (JSON.parse(row.metadata) as Metadata),
  };
}
