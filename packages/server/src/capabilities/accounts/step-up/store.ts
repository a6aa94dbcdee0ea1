import type { SessionId, TenantId, UserId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { accountsTables } from '../tables.js';

export interface StepUpToken {
  readonly hash: Buffer;
  readonly userId: UserId;
  readonly sessionId: SessionId;
  /** Null where none was chosen. */
  readonly tenantId: TenantId | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

export function createStepUpStore(db: Database) {
  const view = db.view(accountsTables);

  return {
    async insert(tx: Transaction, token: StepUpToken): Promise<void> {
      await view
        .system('people', tx)
        .insertInto('step_up_tokens')
        .values({
          token_hash: token.hash,
          user_id: token.userId,
          session_id: token.sessionId,
          tenant_id: token.tenantId,
          created_at: token.createdAtMs,
          expires_at: token.expiresAtMs,
          used_at: null,
        })
        .execute();
    },

    /** All but the newest `keep` of a user. */
    async removeOldest(tx: Transaction, userId: UserId, keep: number): Promise<void> {
      const queries = view.system('people', tx);
      const oldest = await queries
        .selectFrom('step_up_tokens')
        .select('token_hash')
        .where('user_id', '=', userId)
        .orderBy('created_at', 'desc')
        .orderBy('token_hash')
        .limit(keep)
        .offset(keep)
        .execute();
      const hashes = oldest.map(({ token_hash }) => token_hash);
      if (hashes.length > 0)
        await queries.deleteFrom('step_up_tokens').where('token_hash', 'in', hashes).execute();
    },

    async find(hash: Buffer): Promise<(StepUpToken & { readonly isUsed: boolean }) | undefined> {
      const row = await view
        .system('people')
        .selectFrom('step_up_tokens')
        .selectAll()
        .where('token_hash', '=', hash)
        .executeTakeFirst();
      return (
        row && {
          hash: row.token_hash,
          userId: row.user_id,
          sessionId: row.session_id,
          tenantId: row.tenant_id,
          createdAtMs: row.created_at,
          expiresAtMs: row.expires_at,
          isUsed: row.used_at !== null,
        }
      );
    },

    /** True for the one use that a token has where an act uses it up. */
    async use(tx: Transaction, hash: Buffer, nowMs: number): Promise<boolean> {
      const used = await view
        .system('people', tx)
        .updateTable('step_up_tokens')
        .set({ used_at: nowMs })
        .where('token_hash', '=', hash)
        .where('used_at', 'is', null)
        .returning('user_id')
        .executeTakeFirst();
      return used !== undefined;
    },

    async removeEnded(tx: Transaction, nowMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const ended = await queries
        .selectFrom('step_up_tokens')
        .select('token_hash')
        .where('expires_at', '<=', nowMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      const hashes = ended.map(({ token_hash }) => token_hash);
      if (hashes.length > 0)
        await queries.deleteFrom('step_up_tokens').where('token_hash', 'in', hashes).execute();
      return hashes.length;
    },
  };
}
