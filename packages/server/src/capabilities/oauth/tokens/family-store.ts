import type { OAuthClientId, OAuthFamilyId, Scope, TenantId, UserId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { type OAuthTables, oauthTables } from '../tables.js';
import { scopesOf, scopesText } from './scopes.js';
import type { TokenSource } from './sources.js';
import { scopeOf } from './store.js';

export interface Family {
  readonly id: OAuthFamilyId;
  readonly scope: Scope;
  readonly source: Extract<TokenSource, { kind: 'user' }>;
  readonly grantType: string;
  /** What the user consented to. */
  readonly permissions: ReadonlySet<string>;
  readonly jkt: string | null;
  readonly refreshes: number;
  readonly createdAtMs: number;
  readonly idleExpiresAtMs: number;
  readonly expiresAtMs: number;
  readonly revokedAtMs: number | null;
  readonly revokedReason: string | null;
}

export interface RefreshToken {
  readonly hash: Buffer;
  readonly issuedAtMs: number;
  readonly usedAtMs: number | null;
  readonly sealedAnswer: Buffer | null;
  readonly family: Family;
}

export interface RefreshUse {
  readonly issuedAtMs: number;
  readonly usedAtMs: number | null;
  readonly ip: string | null;
}

export type FamilyStore = ReturnType<typeof createFamilyStore>;

type FamilyRow = Omit<OAuthTables['oauth_families'], 'tenant_id' | 'sandbox'> & {
  tenant_id: TenantId;
  sandbox: 0 | 1;
};
type TokenRow = Pick<OAuthTables['oauth_refresh_tokens'], 'issued_at' | 'used_at' | 'sealed_answer'>;

const FAMILY_COLUMNS = [
  'tenant_id',
  'sandbox',
  'id',
  'oauth_client_id',
  'user_id',
  'source_epoch',
  'grant_type',
  'scopes',
  'cnf_jkt',
  'refreshes',
  'created_at',
  'idle_expires_at',
  'expires_at',
  'revoked_at',
  'revoked_reason',
] as const;

export function createFamilyStore(db: Database) {
  const view = db.view(oauthTables);

  const byHash = view.defineSystem<{ hash: Buffer }, FamilyRow & TokenRow>(
    'oauth_refresh_tokens_by_hash',
    'credential_by_hash',
    (queries, arg) =>
      queries
        .selectFrom('oauth_refresh_tokens as r')
        .innerJoin('oauth_families as f', (join) =>
          join
            .onRef('f.tenant_id', '=', 'r.tenant_id')
            .onRef('f.sandbox', '=', 'r.sandbox')
            .onRef('f.id', '=', 'r.family_id'),
        )
        .select(FAMILY_COLUMNS.map((column) => `f.${column}` as const))
        .select(['r.issued_at', 'r.used_at', 'r.sealed_answer'])
        .where('r.token_hash', '=', arg('hash')),
  );

  return {
    async insert(tx: Transaction, family: Family): Promise<void> {
      await view
        .scoped(family.scope, tx)
        .insertInto('oauth_families')
        .values({
          id: family.id,
          oauth_client_id: family.source.oauthClientId,
          user_id: family.source.userId,
          source_epoch: family.source.epoch,
          grant_type: family.grantType,
          scopes: scopesText([...family.permissions]),
          cnf_jkt: family.jkt,
          refreshes: family.refreshes,
          created_at: family.createdAtMs,
          idle_expires_at: family.idleExpiresAtMs,
          expires_at: family.expiresAtMs,
          revoked_at: family.revokedAtMs,
          revoked_reason: family.revokedReason,
        })
        .execute();
    },

    async insertRefreshToken(
      tx: Transaction,
      scope: Scope,
      token: { readonly hash: Buffer; readonly familyId: OAuthFamilyId; readonly issuedAtMs: number },
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('oauth_refresh_tokens')
        .values({
          token_hash: token.hash,
          family_id: token.familyId,
          issued_at: token.issuedAtMs,
          used_at: null,
          ip_address: null,
          sealed_answer: null,
        })
        .execute();
    },

    async findByHash(hash: Buffer): Promise<RefreshToken | undefined> {
      const row = await byHash.first(null, { hash });
      return (
        row && {
          hash,
          issuedAtMs: row.issued_at,
          usedAtMs: row.used_at,
          sealedAnswer: row.sealed_answer,
          family: familyOf(row),
        }
      );
    },

    async find(scope: Scope, id: OAuthFamilyId): Promise<Family | undefined> {
      const row = await view
        .scoped(scope)
        .selectFrom('oauth_families')
        .select(FAMILY_COLUMNS)
        .where('id', '=', id)
        .executeTakeFirst();
      return row && familyOf(row as FamilyRow);
    },

    /** False where it was used already: of several that try at once, one gets true. */
    async use(
      tx: Transaction,
      scope: Scope,
      hash: Buffer,
      use: { readonly nowMs: number; readonly ip: string | null },
    ): Promise<boolean> {
      const rows = await view
        .scoped(scope, tx)
        .updateTable('oauth_refresh_tokens')
        .set({ used_at: use.nowMs, ip_address: use.ip })
        .where('token_hash', '=', hash)
        .where('used_at', 'is', null)
        .returning('family_id')
        .execute();
      return rows.length > 0;
    },

    async keepAnswer(tx: Transaction, scope: Scope, hash: Buffer, sealedAnswer: Buffer): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('oauth_refresh_tokens')
        .set({ sealed_answer: sealedAnswer })
        .where('token_hash', '=', hash)
        .execute();
    },

    /** False where the family was revoked in the meantime, or has been refreshed too often. */
    async touch(tx: Transaction, scope: Scope, id: OAuthFamilyId, idleExpiresAtMs: number): Promise<boolean> {
      const rows = await view
        .scoped(scope, tx)
        .updateTable('oauth_families')
        .set((eb) => ({ idle_expires_at: idleExpiresAtMs, refreshes: eb('refreshes', '+', 1) }))
        .where('id', '=', id)
        .where('revoked_at', 'is', null)
        .where('refreshes', '<', LIMITS.refreshesPerFamilyMax)
        .returning('id')
        .execute();
      return rows.length > 0;
    },

    /** False where it was revoked already. */
    async revoke(
      tx: Transaction,
      scope: Scope,
      id: OAuthFamilyId,
      reason: string,
      nowMs: number,
    ): Promise<boolean> {
      const rows = await view
        .scoped(scope, tx)
        .updateTable('oauth_families')
        .set({ revoked_at: nowMs, revoked_reason: reason })
        .where('id', '=', id)
        .where('revoked_at', 'is', null)
        .returning('id')
        .execute();
      return rows.length > 0;
    },

    /** Those of a user in that tenant, in both modes. */
    async revokeOfUser(tx: Transaction, tenantId: TenantId, userId: UserId, nowMs: number): Promise<number> {
      const rows = await view
        .system('people', tx)
        .updateTable('oauth_families')
        .set({ revoked_at: nowMs, revoked_reason: 'user_removed' })
        .where('tenant_id', '=', tenantId)
        .where('user_id', '=', userId)
        .where('revoked_at', 'is', null)
        .returning('id')
        .execute();
      return rows.length;
    },

    /** The newest of them, in the order in which they were given out. */
    async listUses(scope: Scope, familyId: OAuthFamilyId, limit: number): Promise<RefreshUse[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('oauth_refresh_tokens')
        .select(['issued_at', 'used_at', 'ip_address'])
        .where('family_id', '=', familyId)
        .orderBy('issued_at', 'desc')
        .limit(limit)
        .execute();
      return rows
        .map((row) => ({ issuedAtMs: row.issued_at, usedAtMs: row.used_at, ip: row.ip_address }))
        .sort((one, other) => one.issuedAtMs - other.issuedAtMs || endOf(one) - endOf(other));
    },

    /** Families that ended before, their tokens first, at most so many rows of each; how many. */
    async removeEnded(tx: Transaction, beforeMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const ended = await queries
        .selectFrom('oauth_families')
        .select(['tenant_id', 'sandbox', 'id'])
        .where('idle_expires_at', '<', beforeMs)
        .orderBy('idle_expires_at')
        .limit(FAMILIES_AT_ONCE)
        .execute();
      let rows = 0;
      for (const { tenant_id: tenantId, sandbox, id } of ended) {
        const scope = { tenantId, sandbox: sandbox === 1 };
        const left = rowsMax - rows;
        if (left <= 0) break;
        const removed = await removeRefreshTokens(tx, scope, id, left);
        rows += removed;
        // What is left of its tokens goes first, by the next call.
        if (removed === left) break;
        await view.scoped(scope, tx).deleteFrom('oauth_families').where('id', '=', id).execute();
        rows += 1;
      }
      return rows;
    },
  };

  async function removeRefreshTokens(
    tx: Transaction,
    scope: Scope,
    familyId: OAuthFamilyId,
    rowsMax: number,
  ): Promise<number> {
    const rows = await view
      .scoped(scope, tx)
      .selectFrom('oauth_refresh_tokens')
      .select('token_hash')
      .where('family_id', '=', familyId)
      .limit(rowsMax)
      .execute();
    if (rows.length === 0) return 0;
    await view
      .scoped(scope, tx)
      .deleteFrom('oauth_refresh_tokens')
      .where(
        'token_hash',
        'in',
        rows.map(({ token_hash }) => token_hash),
      )
      .execute();
    return rows.length;
  }
}

const FAMILIES_AT_ONCE = 50;

/** Of two of one instant the one that was used came first. */
function endOf({ usedAtMs }: RefreshUse): number {
  return usedAtMs ?? Number.MAX_SAFE_INTEGER;
}

function familyOf(row: FamilyRow): Family {
  return {
    id: row.id,
    scope: scopeOf(row),
    source: {
      kind: 'user',
      userId: row.user_id as UserId,
      oauthClientId: row.oauth_client_id as OAuthClientId,
      epoch: row.source_epoch,
    },
    grantType: row.grant_type,
    permissions: scopesOf(row.scopes),
    jkt: row.cnf_jkt,
    refreshes: row.refreshes,
    createdAtMs: row.created_at,
    idleExpiresAtMs: row.idle_expires_at,
    expiresAtMs: row.expires_at,
    revokedAtMs: row.revoked_at,
    revokedReason: row.revoked_reason,
  };
}
