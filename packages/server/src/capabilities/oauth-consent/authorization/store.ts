import type { OAuthClientId, OAuthFamilyId, Scope, TenantId, UserId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { type OAuthConsentTables, oauthConsentTables } from '../tables.js';

export interface Code {
  readonly scope: Scope;
  readonly hash: Buffer;
  readonly oauthClientId: OAuthClientId;
  readonly isByAlias: boolean;
  readonly userId: UserId;
  readonly epoch: number;
  readonly redirectUri: string;
  readonly challenge: string;
  readonly scopes: readonly string[];
  readonly jkt: string | null;
  readonly familyId: OAuthFamilyId | null;
  readonly expiresAtMs: number;
  readonly usedAtMs: number | null;
}

export type CodeStore = ReturnType<typeof createCodeStore>;

type Row = Omit<OAuthConsentTables['oauth_codes'], 'tenant_id' | 'sandbox'> & {
  tenant_id: TenantId;
  sandbox: 0 | 1;
};

const COLUMNS = [
  'tenant_id',
  'sandbox',
  'code_hash',
  'oauth_client_id',
  'by_alias',
  'user_id',
  'source_epoch',
  'redirect_uri',
  'code_challenge',
  'scopes',
  'dpop_jkt',
  'family_id',
  'expires_at',
  'used_at',
] as const;

export function createCodeStore(db: Database) {
  const view = db.view(oauthConsentTables);

  const byHash = view.defineSystem<{ hash: Buffer }, Row>(
    'oauth_codes_by_hash',
    'credential_by_hash',
    (queries, arg) => queries.selectFrom('oauth_codes').select(COLUMNS).where('code_hash', '=', arg('hash')),
  );

  return {
    async insert(tx: Transaction, code: Omit<Code, 'familyId' | 'usedAtMs'>): Promise<void> {
      await view
        .scoped(code.scope, tx)
        .insertInto('oauth_codes')
        .values({
          code_hash: code.hash,
          oauth_client_id: code.oauthClientId,
          by_alias: code.isByAlias ? 1 : 0,
          user_id: code.userId,
          source_epoch: code.epoch,
          redirect_uri: code.redirectUri,
          code_challenge: code.challenge,
          scopes: code.scopes.join(' '),
          dpop_jkt: code.jkt,
          family_id: null,
          expires_at: code.expiresAtMs,
          used_at: null,
        })
        .execute();
    },

    /** Used or not. */
    async findByHash(hash: Buffer, tx?: Transaction): Promise<Code | undefined> {
      const row = await byHash.first(null, { hash }, tx);
      return row && codeOf(row);
    },

    /** False where it was used already: of several that try at once, one gets true. */
    async use(tx: Transaction, scope: Scope, hash: Buffer, nowMs: number): Promise<boolean> {
      const rows = await view
        .scoped(scope, tx)
        .updateTable('oauth_codes')
        .set({ used_at: nowMs })
        .where('code_hash', '=', hash)
        .where('used_at', 'is', null)
        .returning('code_hash')
        .execute();
      return rows.length > 0;
    },

    async setFamily(tx: Transaction, scope: Scope, hash: Buffer, familyId: OAuthFamilyId): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('oauth_codes')
        .set({ family_id: familyId })
        .where('code_hash', '=', hash)
        .execute();
    },

    /** Those that ended before, at most so many; how many. */
    async removeEnded(tx: Transaction, beforeMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const ended = await queries
        .selectFrom('oauth_codes')
        .select('code_hash')
        .where('expires_at', '<', beforeMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      if (ended.length === 0) return 0;
      const hashes = ended.map(({ code_hash }) => code_hash);
      await queries.deleteFrom('oauth_codes').where('code_hash', 'in', hashes).execute();
      return ended.length;
    },
  };
}

function codeOf(row: Row): Code {
  return {
    scope: { tenantId: row.tenant_id, sandbox: row.sandbox === 1 },
    hash: row.code_hash,
    oauthClientId: row.oauth_client_id as OAuthClientId,
    isByAlias: row.by_alias === 1,
    userId: row.user_id as UserId,
    epoch: row.source_epoch,
    redirectUri: row.redirect_uri,
    challenge: row.code_challenge,
    scopes: row.scopes.split(' ').filter((name) => name !== ''),
    jkt: row.dpop_jkt,
    familyId: row.family_id as OAuthFamilyId | null,
    expiresAtMs: row.expires_at,
    usedAtMs: row.used_at,
  };
}
