import type { SessionId, UserId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { accountsTables } from '../tables.js';
import {
  type Credentials,
  type CredentialsRow,
  type Membership,
  membershipsOf,
  type Session,
  sessionOf,
  type User,
  type UserRow,
  type UserWithPassword,
  userOf,
  withPassword,
} from './rows.js';

export type { Membership, Session, User } from './rows.js';

export type SessionStore = ReturnType<typeof createSessionStore>;

const SESSION_COLUMNS = [
  'id',
  'user_id',
  'amr',
  'ip_address',
  'user_agent',
  'created_at',
  'last_used_at',
  'idle_expires_at',
  'expires_at',
] as const;

const MEMBERSHIP_COLUMNS = ['m.tenant_id', 'm.role', 't.slug', 't.name', 't.subscription_status'] as const;

export function createSessionStore(db: Database) {
  const view = db.view(accountsTables);

  // One row, in however many tenants the user is: an address that has no account costs a caller as much.
  const byEmail = view.defineSystem<{ email: string }, CredentialsRow>(
    'sessions_credentials_by_email',
    'people',
    (queries, arg) =>
      queries
        .selectFrom('users')
        .select(['id', 'email', 'created_at', 'password_hash'])
        .where('email_folded', '=', arg('email'))
        .limit(1),
  );
  const byId = view.defineSystem<{ id: string }, UserRow & { password_hash: string }>(
    'sessions_user_by_id',
    'people',
    (queries, arg) =>
      queries
        .selectFrom('users as u')
        .leftJoin('memberships as m', 'm.user_id', 'u.id')
        .leftJoin('tenants as t', 't.id', 'm.tenant_id')
        .select(['u.id', 'u.email', 'u.created_at', 'u.password_hash', ...MEMBERSHIP_COLUMNS])
        .where('u.id', '=', arg('id') as UserId)
        .orderBy('m.created_at')
        .orderBy('m.tenant_id')
        .limit(LIMITS.tenantsPerUserMax),
  );
  const ofSession = view.defineSystem<{ id: string; now: number }, UserRow>(
    'sessions_user_of_session',
    'people',
    (queries, arg) =>
      queries
        .selectFrom('sessions as s')
        .innerJoin('users as u', 'u.id', 's.user_id')
        .leftJoin('memberships as m', 'm.user_id', 'u.id')
        .leftJoin('tenants as t', 't.id', 'm.tenant_id')
        .select(['u.id', 'u.email', 'u.created_at', ...MEMBERSHIP_COLUMNS])
        .where('s.id', '=', arg('id') as SessionId)
        .where('s.revoked_at', 'is', null)
        .where('s.idle_expires_at', '>', arg('now'))
        .where('s.expires_at', '>', arg('now'))
        .orderBy('m.created_at')
        .orderBy('m.tenant_id')
        .limit(LIMITS.tenantsPerUserMax),
  );

  /** What is neither revoked nor run out. */
  function active(tx: Transaction | undefined, userId: UserId, nowMs: number) {
    return view
      .system('people', tx)
      .selectFrom('sessions')
      .where('user_id', '=', userId)
      .where('revoked_at', 'is', null)
      .where('idle_expires_at', '>', nowMs)
      .where('expires_at', '>', nowMs);
  }

  return {
    async findCredentials(emailFolded: string): Promise<Credentials | undefined> {
      const [row] = await byEmail.all(null, { email: emailFolded });
      return row && { user: userOf(row), passwordHash: row.password_hash };
    },

    async findUser(id: UserId): Promise<UserWithPassword | undefined> {
      return withPassword(await byId.all(null, { id }));
    },

    /** The user of a session that is still good, and where the user belongs at this moment. */
    async findUserOfSession(
      id: SessionId,
      nowMs: number,
      tx?: Transaction,
    ): Promise<{ user: User; memberships: Membership[] } | undefined> {
      const rows = await ofSession.all(null, { id, now: nowMs }, tx);
      const [row] = rows;
      return row && { user: userOf(row), memberships: membershipsOf(rows) };
    },

    async insert(tx: Transaction, session: Session): Promise<void> {
      await view
        .system('people', tx)
        .insertInto('sessions')
        .values({
          id: session.id,
          user_id: session.userId,
          amr: JSON.stringify(session.amr),
          ip_address: session.ip,
          user_agent: session.userAgent,
          created_at: session.createdAtMs,
          last_used_at: session.lastUsedAtMs,
          idle_expires_at: session.idleExpiresAtMs,
          expires_at: session.expiresAtMs,
          refreshes: 0,
          revoked_at: null,
        })
        .execute();
    },

    /** Newest first; those that run out or were revoked are not among them. */
    async listActive(userId: UserId, nowMs: number): Promise<Session[]> {
      const rows = await active(undefined, userId, nowMs)
        .select(SESSION_COLUMNS)
        .orderBy('created_at', 'desc')
        .orderBy('id')
        .limit(LIMITS.sessionsPerUserMax)
        .execute();
      return rows.map(sessionOf);
    },

    /** The sessions beyond the newest `keep`. */
    async listOldest(tx: Transaction, userId: UserId, nowMs: number, keep: number): Promise<SessionId[]> {
      const rows = await active(tx, userId, nowMs)
        .select('id')
        .orderBy('created_at', 'desc')
        .orderBy('id')
        .limit(LIMITS.sessionsPerUserMax)
        .offset(keep)
        .execute();
      return rows.map(({ id }) => id);
    },

    /** Undefined where that user has no such session that is good, so that of two ends one counts. */
    async revoke(
      tx: Transaction,
      id: SessionId,
      userId: UserId | null,
      nowMs: number,
    ): Promise<UserId | undefined> {
      let update = view
        .system('people', tx)
        .updateTable('sessions')
        .set({ revoked_at: nowMs })
        .where('id', '=', id)
        .where('revoked_at', 'is', null)
        .where('idle_expires_at', '>', nowMs)
        .where('expires_at', '>', nowMs);
      if (userId !== null) update = update.where('user_id', '=', userId);
      return (await update.returning('user_id').executeTakeFirst())?.user_id;
    },

    /** A refresh: undefined when the session has ended, or has been refreshed as often as a session may. */
    async touch(
      tx: Transaction,
      id: SessionId,
      use: { ip: string | null; userAgent: string | null; nowMs: number; idleExpiresAtMs: number },
    ): Promise<Session | undefined> {
      const row = await view
        .system('people', tx)
        .updateTable('sessions')
        .set((row) => ({
          refreshes: row('refreshes', '+', 1),
          last_used_at: use.nowMs,
          idle_expires_at: use.idleExpiresAtMs,
          ip_address: use.ip,
          user_agent: use.userAgent,
        }))
        .where('id', '=', id)
        .where('refreshes', '<', LIMITS.refreshesPerSessionMax)
        .where('revoked_at', 'is', null)
        .where('idle_expires_at', '>', use.nowMs)
        .where('expires_at', '>', use.nowMs)
        .returning(SESSION_COLUMNS)
        .executeTakeFirst();
      return row && sessionOf(row);
    },

    async insertRefreshToken(
      tx: Transaction,
      hash: Buffer,
      sessionId: SessionId,
      nowMs: number,
    ): Promise<void> {
      await view
        .system('people', tx)
        .insertInto('refresh_tokens')
        .values({ token_hash: hash, session_id: sessionId, issued_at: nowMs, used_at: null })
        .execute();
    },

    /** True for the one use that a token has. */
    async useRefreshToken(tx: Transaction, hash: Buffer, nowMs: number): Promise<boolean> {
      const used = await view
        .system('people', tx)
        .updateTable('refresh_tokens')
        .set({ used_at: nowMs })
        .where('token_hash', '=', hash)
        .where('used_at', 'is', null)
        .returning('session_id')
        .executeTakeFirst();
      return used !== undefined;
    },

    /** The session of a token, used or not. */
    async findSessionOfToken(hash: Buffer, tx?: Transaction): Promise<SessionId | undefined> {
      const row = await view
        .system('people', tx)
        .selectFrom('refresh_tokens')
        .select('session_id')
        .where('token_hash', '=', hash)
        .executeTakeFirst();
      return row?.session_id;
    },

    async membershipsOf(userId: UserId, tx?: Transaction): Promise<Membership[]> {
      const rows = await view
        .system('people', tx)
        .selectFrom('memberships as m')
        .innerJoin('tenants as t', 't.id', 'm.tenant_id')
        .select(MEMBERSHIP_COLUMNS)
        .where('m.user_id', '=', userId)
        .orderBy('m.created_at')
        .orderBy('m.tenant_id')
        .limit(LIMITS.tenantsPerUserMax)
        .execute();
      return membershipsOf(rows);
    },

    /** Whether it still is the one that was checked. */
    async hasPasswordHash(tx: Transaction, userId: UserId, hash: string): Promise<boolean> {
      const row = await view
        .system('people', tx)
        .selectFrom('users')
        .select('id')
        .where('id', '=', userId)
        .where('password_hash', '=', hash)
        .executeTakeFirst();
      return row !== undefined;
    },

    async setPasswordHash(tx: Transaction, userId: UserId, hash: string): Promise<void> {
      await view
        .system('people', tx)
        .updateTable('users')
        .set({ password_hash: hash })
        .where('id', '=', userId)
        .execute();
    },

    /** How many there were; `keep` is not among them. */
    async revokeAll(
      tx: Transaction,
      userId: UserId,
      nowMs: number,
      keep: SessionId | null = null,
    ): Promise<number> {
      let update = view
        .system('people', tx)
        .updateTable('sessions')
        .set({ revoked_at: nowMs })
        .where('user_id', '=', userId)
        .where('revoked_at', 'is', null)
        .where('idle_expires_at', '>', nowMs)
        .where('expires_at', '>', nowMs);
      if (keep !== null) update = update.where('id', '<>', keep);
      return (await update.returning('id').execute()).length;
    },

    /** Only where it still is the one that was checked. */
    async replacePasswordHash(tx: Transaction, userId: UserId, from: string, to: string): Promise<void> {
      await view
        .system('people', tx)
        .updateTable('users')
        .set({ password_hash: to })
        .where('id', '=', userId)
        .where('password_hash', '=', from)
        .execute();
    },

    /** Removes sessions that ran out before `beforeMs` with their tokens; how many rows, so that fewer than asked = all. */
    async removeEnded(tx: Transaction, beforeMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const ended = await queries
        .selectFrom('sessions')
        .select('id')
        .where('idle_expires_at', '<', beforeMs)
        .orderBy('idle_expires_at')
        .limit(rowsMax)
        .execute();
      const ids = ended.map(({ id }) => id);
      if (ids.length === 0) return 0;
      const tokens = await queries
        .selectFrom('refresh_tokens')
        .select('token_hash')
        .where('session_id', 'in', ids)
        .limit(rowsMax)
        .execute();
      const hashes = tokens.map(({ token_hash }) => token_hash);
      if (hashes.length > 0)
        await queries.deleteFrom('refresh_tokens').where('token_hash', 'in', hashes).execute();
      // The tokens of the others are removed first, by the next call.
      if (hashes.length === rowsMax) return rowsMax;
      await queries.deleteFrom('sessions').where('id', 'in', ids).execute();
      return ids.length;
    },
  };
}
