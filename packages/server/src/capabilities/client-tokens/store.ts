import type { ClientTokenId, Scope, TenantId, VaultId } from '../../kernel/ids.js';
import type { Capability } from '../../kernel/principal.js';
import type { Database, Insertion, Transaction } from '../../platform/storage/database.js';
import type { Maker } from '../authentication/index.js';
import { type ClientTokenRow, clientTokenTables } from './tables.js';

export interface NewClientToken extends Capability {
  readonly scope: Scope;
  readonly hash: Buffer;
  readonly maker: Maker;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

export interface StoredClientToken extends Omit<NewClientToken, 'createdAtMs'> {
  readonly misses: number;
  readonly isUsed: boolean;
}

export type ClientTokenStore = ReturnType<typeof createClientTokenStore>;

const COLUMNS = [
  'id',
  'token_hash',
  'action',
  'data_hash',
  'role',
  'vault_id',
  'origins',
  'maker_kind',
  'maker_id',
  'misses',
  'expires_at',
] as const;
type Found = Pick<ClientTokenRow, (typeof COLUMNS)[number]> & {
  tenant_id: string;
  sandbox: number;
  used_at: number | null;
};

export function createClientTokenStore(db: Database) {
  const view = db.view(clientTokenTables);

  const byHash = view.defineSystem<{ hash: Buffer }, Found>(
    'client_token_by_hash',
    'credential_by_hash',
    (queries, arg) =>
      queries
        .selectFrom('client_tokens as t')
        .leftJoin('client_token_uses as u', (join) =>
          join
            .onRef('u.tenant_id', '=', 't.tenant_id')
            .onRef('u.sandbox', '=', 't.sandbox')
            .onRef('u.token_id', '=', 't.id'),
        )
        .select(['t.tenant_id', 't.sandbox', ...COLUMNS.map((column) => `t.${column}` as const)])
        .select('u.used_at')
        .where('t.token_hash', '=', arg('hash')),
  );

  const left = view.define<{ id: string }, Pick<ClientTokenRow, 'expires_at' | 'misses'>>(
    'client_token_left',
    (queries, arg) =>
      queries.selectFrom('client_tokens').select(['expires_at', 'misses']).where('id', '=', arg('id')),
  );

  return {
    async insert(tx: Transaction, token: NewClientToken): Promise<void> {
      await view
        .scoped(token.scope, tx)
        .insertInto('client_tokens')
        .values({
          id: token.id,
          token_hash: token.hash,
          action: token.action,
          data_hash: token.dataHash,
          role: token.role,
          vault_id: token.vaultId,
          origins: token.origins && JSON.stringify(token.origins),
          maker_kind: token.maker.kind,
          maker_id: token.maker.id,
          misses: 0,
          created_at: token.createdAtMs,
          expires_at: token.expiresAtMs,
        })
        .execute();
    },

    /** Used, ended or not. */
    async findByHash(hash: Buffer): Promise<StoredClientToken | undefined> {
      const row = await byHash.first(null, { hash });
      return row && tokenOf(row);
    },

    /** What ends it but its use. */
    async findLeft(
      scope: Scope,
      id: ClientTokenId,
    ): Promise<Pick<StoredClientToken, 'expiresAtMs' | 'misses'> | undefined> {
      const row = await left.first(scope, { id });
      return row && { expiresAtMs: row.expires_at, misses: row.misses };
    },

    /** Of several at once one is let in: the others are a `UniqueViolation`. */
    useInsertion(scope: Scope, id: ClientTokenId, nowMs: number): Insertion {
      return view.insertion('client_token_uses', scope, { token_id: id, used_at: nowMs });
    },

    async countMiss(tx: Transaction, scope: Scope, id: ClientTokenId): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('client_tokens')
        .set((eb) => ({ misses: eb('misses', '+', 1) }))
        .where('id', '=', id)
        .execute();
    },

    /** With their uses, at most so many; how many. */
    async removeEnded(tx: Transaction, beforeMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const ended = await queries
        .selectFrom('client_tokens')
        .select(['tenant_id', 'sandbox', 'id'])
        .where('expires_at', '<=', beforeMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      for (const { tenant_id, sandbox, id } of ended) {
        const scope = { tenantId: tenant_id as TenantId, sandbox: sandbox === 1 };
        const own = view.scoped(scope, tx);
        await own.deleteFrom('client_tokens').where('id', '=', id).execute();
        await own.deleteFrom('client_token_uses').where('token_id', '=', id).execute();
      }
      return ended.length;
    },
  };
}

function tokenOf(row: Found): StoredClientToken {
  return {
    id: row.id as ClientTokenId,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    hash: row.token_hash,
    action: row.action,
    dataHash: row.data_hash,
    role: row.role,
    vaultId: row.vault_id as VaultId | null,
    origins: row.origins === null ? null : (JSON.parse(row.origins) as string[]),
    maker: { kind: row.maker_kind, id: row.maker_id } as Maker,
    expiresAtMs: row.expires_at,
    misses: row.misses,
    isUsed: row.used_at !== null,
  };
}
