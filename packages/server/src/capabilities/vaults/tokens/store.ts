import type { ExpressionBuilder, Selectable } from 'kysely';
import {
  type ApiKeyId,
  isUuid,
  type Scope,
  type TokenId,
  type UserId,
  type VaultId,
} from '../../../kernel/ids.js';
import { isPending } from '../../../kernel/promisable.js';
import type { ListOptions } from '../../../platform/http/pagination.js';
import type { Database, Insertion, Transaction } from '../../../platform/storage/database.js';
import type { Metadata } from '../store.js';
import { type VaultTables, type VaultTokenRow, vaultTables } from '../tables.js';

/** A token without its value. */
export interface Token {
  readonly id: TokenId;
  readonly vaultId: VaultId;
  readonly token: string;
  readonly createdAtMs: number;
  /** From then on it is not found; null = never. */
  readonly expiresAtMs: number | null;
  /** ISO date, of card numbers only. */
  readonly cardExpiresOn: string | null;
  readonly createdByApiKeyId: ApiKeyId | null;
  readonly createdByUserId: UserId | null;
}

/** What it takes to read a value; a proxied call asks for no more. */
export interface SealedToken extends Pick<Token, 'id' | 'vaultId'> {
  readonly keyVersion: number;
  readonly ciphertext: Buffer;
}

export interface StoredToken extends Token, SealedToken {
  readonly metadata: Metadata | null;
}

export interface NewToken extends StoredToken {
  /** When its card is told of first. */
  readonly noticeAtMs: number | null;
}

export type TokenStore = ReturnType<typeof createTokenStore>;

const TOKEN_COLUMNS = [
  'id',
  'vault_id',
  'token',
  'created_at',
  'expires_at',
  'card_expires_on',
  'created_by_api_key_id',
  'created_by_user_id',
] as const;
const STORED_COLUMNS = [...TOKEN_COLUMNS, 'crypto_key_version', 'ciphertext', 'metadata'] as const;
const SEALED_COLUMNS = ['id', 'vault_id', 'crypto_key_version', 'ciphertext'] as const;
type TokenColumns = Pick<Selectable<VaultTokenRow>, (typeof TOKEN_COLUMNS)[number]>;
export interface TokenCounts {
  readonly tokens: number;
  readonly expired: number;
  readonly expiringInDay: number;
}

/** Where a count or a page stands: behind this token, in the order of age. */
export interface TokenPlace {
  readonly createdAtMs: number;
  readonly id: TokenId;
}

type Order = ListOptions<'created_at'>['order'];

export interface TokenWindow {
  readonly order: Order;
  readonly from: TokenPlace | null;
  readonly skip: number;
  readonly limit: number;
}

type StoredColumns = Pick<Selectable<VaultTokenRow>, (typeof STORED_COLUMNS)[number]>;
type SealedColumns = Pick<Selectable<VaultTokenRow>, (typeof SEALED_COLUMNS)[number]>;

export function createTokenStore(db: Database) {
  const view = db.view(vaultTables);

  const byId = view.define<{ id: string; now_ms: number }, StoredColumns>(
    'vault_token_by_id',
    (queries, arg) =>
      queries
        .selectFrom('vault_tokens')
        .select(STORED_COLUMNS)
        .where('id', '=', arg('id'))
        .where(isActiveAt(arg('now_ms'))),
  );
  const inVault = view.define<{ vault_id: string; token: string; now_ms: number }, StoredColumns>(
    'vault_token_in_vault',
    (queries, arg) =>
      queries
        .selectFrom('vault_tokens')
        .select(STORED_COLUMNS)
        .where('token', '=', arg('token'))
        .where('vault_id', '=', arg('vault_id'))
        .where(isActiveAt(arg('now_ms'))),
  );
  const sealedById = view.define<{ id: string; now_ms: number }, SealedColumns>(
    'sealed_token_by_id',
    (queries, arg) =>
      queries
        .selectFrom('vault_tokens')
        .select(SEALED_COLUMNS)
        .where('id', '=', arg('id'))
        .where(isActiveAt(arg('now_ms'))),
  );
  const sealedInVault = view.define<{ vault_id: string; token: string; now_ms: number }, SealedColumns>(
    'sealed_token_in_vault',
    (queries, arg) =>
      queries
        .selectFrom('vault_tokens')
        .select(SEALED_COLUMNS)
        .where('token', '=', arg('token'))
        .where('vault_id', '=', arg('vault_id'))
        .where(isActiveAt(arg('now_ms'))),
  );
  const sealedInAnyVault = view.define<{ token: string; now_ms: number }, SealedColumns>(
    'sealed_token_in_any_vault',
    (queries, arg) =>
      queries
        .selectFrom('vault_tokens')
        .select(SEALED_COLUMNS)
        .where('token', '=', arg('token'))
        .where(isActiveAt(arg('now_ms')))
        .limit(2),
  );

  return {
    insertion(scope: Scope, token: NewToken): Insertion {
      return view.insertion('vault_tokens', scope, {
        id: token.id,
        vault_id: token.vaultId,
        token: token.token,
        crypto_key_version: token.keyVersion,
        ciphertext: token.ciphertext,
        metadata: token.metadata && JSON.stringify(token.metadata),
        created_at: token.createdAtMs,
        expires_at: token.expiresAtMs,
        card_expires_on: token.cardExpiresOn,
        expiry_notice_at: token.noticeAtMs,
        created_by_api_key_id: token.createdByApiKeyId,
        created_by_user_id: token.createdByUserId,
      });
    },

    /** Of those that have not expired, like every token that is found below. */
    async findInVault(
      scope: Scope,
      vaultId: VaultId,
      idOrToken: string,
      nowMs: number,
    ): Promise<StoredToken | undefined> {
      // A row id comes before a token text that looks like one.
      if (isUuid(idOrToken)) {
        const named = await byId.first(scope, { id: idOrToken.toLowerCase(), now_ms: nowMs });
        if (named?.vault_id === vaultId) return storedTokenOf(named);
      }
      const row = await inVault.first(scope, { vault_id: vaultId, token: idOrToken, now_ms: nowMs });
      return row && storedTokenOf(row);
    },

    /** The same, in any vault for null. Two when the text stands in more than one; no more are read. */
    async findSealed(
      scope: Scope,
      vaultId: VaultId | null,
      idOrToken: string,
      nowMs: number,
    ): Promise<SealedToken[]> {
      if (isUuid(idOrToken)) {
        const named = await sealedById.first(scope, { id: idOrToken.toLowerCase(), now_ms: nowMs });
        if (named && (vaultId === null || named.vault_id === vaultId)) return [sealedTokenOf(named)];
      }
      const found =
        vaultId === null
          ? sealedInAnyVault.all(scope, { token: idOrToken, now_ms: nowMs })
          : sealedInVault.all(scope, { vault_id: vaultId, token: idOrToken, now_ms: nowMs });
      return (isPending(found) ? await found : found).map(sealedTokenOf);
    },

    /** Expired ones that are not removed yet among them: their texts are taken. */
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

    /** The place of the `tokens`-th token behind `from`; null when there are not so many. */
    async placeAfter(
      scope: Scope,
      vaultId: VaultId,
      from: TokenPlace | null,
      tokens: number,
      /** Of those that are active at that time; null = of all. */
      { order, activeAtMs }: { readonly order: Order; readonly activeAtMs: number | null },
    ): Promise<TokenPlace | null> {
      let query = view
        .scoped(scope)
        .selectFrom('vault_tokens')
        .select(['created_at', 'id'])
        .where('vault_id', '=', vaultId)
        .orderBy('created_at', order)
        .orderBy('id', order)
        .limit(1)
        .offset(tokens - 1);
      if (activeAtMs !== null) query = query.where(isActiveAt(activeAtMs));
      if (from) query = query.where(isPlaced(behind(order), from));
      const row = await query.executeTakeFirst();
      return row ? { createdAtMs: row.created_at, id: row.id as TokenId } : null;
    },

    /** Behind `from` and up to `to`, that one included; null = no bound. */
    async countBetween(
      scope: Scope,
      vaultId: VaultId,
      { from, to }: { readonly from: TokenPlace | null; readonly to: TokenPlace | null },
      { nowMs, soonMs }: { readonly nowMs: number; readonly soonMs: number },
    ): Promise<TokenCounts> {
      let query = view
        .scoped(scope)
        .selectFrom('vault_tokens')
        .select(({ eb, fn }) => [
          fn.countAll<number>().as('tokens'),
          fn.count<number>(eb.case().when('expires_at', '<=', nowMs).then(1).end()).as('expired'),
          fn.count<number>(eb.case().when('expires_at', '<=', soonMs).then(1).end()).as('expired_soon'),
        ])
        .where('vault_id', '=', vaultId);
      if (from) query = query.where(isPlaced('>', from));
      if (to) query = query.where(isPlaced('<=', to));
      const { tokens, expired, expired_soon } = await query.executeTakeFirstOrThrow();
      return { tokens, expired, expiringInDay: expired_soon - expired };
    },

    async hasActive(tx: Transaction, scope: Scope, vaultId: VaultId, nowMs: number): Promise<boolean> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('vault_tokens')
        .select('id')
        .where('vault_id', '=', vaultId)
        .where(isActiveAt(nowMs))
        .limit(1)
        .executeTakeFirst();
      return row !== undefined;
    },

    /** Active ones, in the order of age: behind `from`, and behind `skip` more. */
    async list(
      scope: Scope,
      vaultId: VaultId,
      { order, from, skip, limit }: TokenWindow,
      nowMs: number,
    ): Promise<Token[]> {
      let query = view
        .scoped(scope)
        .selectFrom('vault_tokens')
        .select(TOKEN_COLUMNS)
        .where('vault_id', '=', vaultId)
        .where(isActiveAt(nowMs))
        .orderBy('created_at', order)
        .orderBy('id', order)
        .limit(limit)
        .offset(skip);
      if (from) query = query.where(isPlaced(behind(order), from));
      return (await query.execute()).map(tokenOf);
    },

    /** False when it is gone, or has expired. */
    async setMetadata(
      tx: Transaction,
      scope: Scope,
      id: TokenId,
      metadata: Metadata | null,
      nowMs: number,
    ): Promise<boolean> {
      const rows = await view
        .scoped(scope, tx)
        .updateTable('vault_tokens')
        .set({ metadata: metadata && JSON.stringify(metadata) })
        .where('id', '=', id)
        .where(isActiveAt(nowMs))
        .returning('id')
        .execute();
      return rows.length > 0;
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

/** Expired rows stay until the reaper comes; no query that looks for a token may find one. */
function isActiveAt(nowMs: number) {
  return ({ eb }: ExpressionBuilder<VaultTables, 'vault_tokens'>) =>
    eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', nowMs)]);
}

function behind(order: Order) {
  return order === 'asc' ? '>' : '<';
}

function isPlaced(relation: '>' | '<' | '<=', { createdAtMs, id }: TokenPlace) {
  return ({ eb, refTuple, tuple }: ExpressionBuilder<VaultTables, 'vault_tokens'>) =>
    eb(refTuple('created_at', 'id'), relation, tuple(createdAtMs, id as string));
}

function tokenOf(row: TokenColumns): Token {
  return {
    id: row.id as TokenId,
    vaultId: row.vault_id as VaultId,
    token: row.token,
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
    cardExpiresOn: row.card_expires_on,
    createdByApiKeyId: row.created_by_api_key_id as ApiKeyId | null,
    createdByUserId: row.created_by_user_id as UserId | null,
  };
}

function sealedTokenOf(row: SealedColumns): SealedToken {
  return {
    id: row.id as TokenId,
    vaultId: row.vault_id as VaultId,
    keyVersion: row.crypto_key_version,
    ciphertext: row.ciphertext,
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
