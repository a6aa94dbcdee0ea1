import type { Selectable } from 'kysely';
import type { Scope, TenantId, WrapTokenId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { type WrapTokenRow, wrapTables } from './tables.js';

export interface WrapToken {
  readonly id: WrapTokenId;
  readonly secretId: string;
  /** The one that it may call: a name, in lower case. */
  readonly host: string;
  readonly label: string | null;
  /** Null: it stands in paths. */
  readonly dnsLabel: string | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly revokedAtMs: number | null;
  readonly lastUsedAtMs: number | null;
}

export interface NewWrapToken extends Omit<WrapToken, 'revokedAtMs' | 'lastUsedAtMs'> {
  readonly hash: Buffer;
  readonly createdBy: string;
}

/** Also of one that has ended: who asks judges. */
export interface FoundWrapToken extends Pick<WrapToken, 'id' | 'secretId' | 'host' | 'dnsLabel'> {
  readonly scope: Scope;
  readonly hash: Buffer;
  readonly endsAtMs: number;
  readonly provider: string | undefined;
}

export type WrapStore = ReturnType<typeof createWrapStore>;

const FOUND = ['id', 'token_hash', 'dns_label', 'secret_id', 'host', 'ends_at'] as const;
type Found = Pick<WrapTokenRow, (typeof FOUND)[number]> & {
  tenant_id: string;
  sandbox: number;
  provider: string | null;
};

export function createWrapStore(db: Database) {
  const view = db.view(wrapTables);

  const byHash = view.defineSystem<{ hash: Buffer }, Found>(
    'wrap_token_by_hash',
    'credential_by_hash',
    (queries, arg) =>
      queries
        .selectFrom('wrap_tokens as t')
        .leftJoin('wrap_credentials as c', (join) =>
          join
            .onRef('c.tenant_id', '=', 't.tenant_id')
            .onRef('c.sandbox', '=', 't.sandbox')
            .onRef('c.secret_id', '=', 't.secret_id'),
        )
        .select(['t.tenant_id', 't.sandbox', ...FOUND.map((column) => `t.${column}` as const)])
        .select('c.provider')
        .where('t.token_hash', '=', arg('hash')),
  );

  return {
    async insertCredential(
      tx: Transaction,
      scope: Scope,
      row: { readonly secretId: string; readonly provider: string; readonly createdAtMs: number },
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('wrap_credentials')
        .values({ secret_id: row.secretId, provider: row.provider, created_at: row.createdAtMs })
        .execute();
    },

    async insert(tx: Transaction, scope: Scope, token: NewWrapToken): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('wrap_tokens')
        .values({
          id: token.id,
          token_hash: token.hash,
          dns_label: token.dnsLabel,
          secret_id: token.secretId,
          host: token.host,
          label: token.label,
          created_by: token.createdBy,
          created_at: token.createdAtMs,
          expires_at: token.expiresAtMs,
          ends_at: token.expiresAtMs,
          revoked_at: null,
          last_used_at: null,
        })
        .execute();
    },

    async findByHash(hash: Buffer): Promise<FoundWrapToken | undefined> {
      const row = await byHash.first(null, { hash });
      return row && foundOf(row);
    },

    async find(tx: Transaction, scope: Scope, id: string): Promise<WrapToken | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('wrap_tokens')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst();
      return row && tokenOf(row);
    },

    /** The newest first. */
    async list(scope: Scope): Promise<WrapToken[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('wrap_tokens')
        .selectAll()
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(LIMITS.wrapTokensListed)
        .execute();
      return rows.map(tokenOf);
    },

    async countLive(tx: Transaction, scope: Scope, nowMs: number): Promise<number> {
      const { total } = await view
        .scoped(scope, tx)
        .selectFrom('wrap_tokens')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .where('ends_at', '>', nowMs)
        .executeTakeFirstOrThrow();
      return total;
    },

    async revoke(
      tx: Transaction,
      scope: Scope,
      { id, expiresAtMs }: Pick<WrapToken, 'id' | 'expiresAtMs'>,
      nowMs: number,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('wrap_tokens')
        .set({ revoked_at: nowMs, ends_at: Math.min(expiresAtMs, nowMs) })
        .where('id', '=', id)
        .where('revoked_at', 'is', null)
        .execute();
    },

    /** A secret that is deleted: its mark, and every token that would send it; how many were revoked. */
    async removeSecret(tx: Transaction, scope: Scope, secretId: string, nowMs: number): Promise<number> {
      const queries = view.scoped(scope, tx);
      const revoked = await queries
        .updateTable('wrap_tokens')
        .set({ revoked_at: nowMs, ends_at: nowMs })
        .where('secret_id', '=', secretId)
        .where('revoked_at', 'is', null)
        .where('ends_at', '>', nowMs)
        .returning('id')
        .execute();
      await queries.deleteFrom('wrap_credentials').where('secret_id', '=', secretId).execute();
      return revoked.length;
    },

    async setLastUsed(tx: Transaction, scope: Scope, id: WrapTokenId, atMs: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('wrap_tokens')
        .set({ last_used_at: atMs })
        .where('id', '=', id)
        .where((where) => where.or([where('last_used_at', 'is', null), where('last_used_at', '<', atMs)]))
        .execute();
    },

    /** At most so many; how many. */
    async removeEnded(tx: Transaction, beforeMs: number, rowsMax: number): Promise<number> {
      const ended = await view
        .system('retention', tx)
        .selectFrom('wrap_tokens')
        .select(['tenant_id', 'sandbox', 'id'])
        .where('ends_at', '<=', beforeMs)
        .orderBy('ends_at')
        .limit(rowsMax)
        .execute();
      for (const { tenant_id, sandbox, id } of ended) {
        const scope = { tenantId: tenant_id as TenantId, sandbox: sandbox === 1 };
        await view.scoped(scope, tx).deleteFrom('wrap_tokens').where('id', '=', id).execute();
      }
      return ended.length;
    },
  };
}

function tokenOf(row: Selectable<WrapTokenRow>): WrapToken {
  return {
    id: row.id as WrapTokenId,
    secretId: row.secret_id,
    host: row.host,
    label: row.label,
    dnsLabel: row.dns_label,
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
    revokedAtMs: row.revoked_at,
    lastUsedAtMs: row.last_used_at,
  };
}

function foundOf(row: Found): FoundWrapToken {
  return {
    id: row.id as WrapTokenId,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    hash: row.token_hash,
    secretId: row.secret_id,
    host: row.host,
    dnsLabel: row.dns_label,
    endsAtMs: row.ends_at,
    provider: row.provider ?? undefined,
  };
}
