import type { Clock } from '../../../kernel/clock.js';
import { notFound } from '../../../kernel/errors.js';
import type { IdSource, SessionId, UserId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { SessionCaller, Visitor } from '../../../kernel/principal.js';
import { Secret } from '../../../kernel/secret.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import { newOpaqueToken } from '../../../platform/crypto/opaque-token.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { TokenSigner } from '../../../platform/crypto/signed-tokens.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { type RevokeReason, recordOfUser } from '../audit.js';
import { invalidAdminToken, sessionEnded } from '../errors.js';
import { createSigningKeys } from '../signing-keys/service.js';
import { createVisitorWrites } from '../visitor-writes.js';
import { createSessionStore, type Membership, type Session, type User } from './store.js';

export type { Membership, Session, User } from './store.js';

export interface SessionsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly rootKey: Secret<Buffer>;
  /** `KNOX_JWT_SIGNING_KEY`; null = one is made and kept. */
  readonly tokenKey: Secret<Buffer> | null;
  /** After a sign-in is durable. */
  onSignIn(user: User): void;
}

/** A browser or a program that signs in. */
export interface Device extends Visitor {
  readonly userAgent: string | null;
}

/** What a sign-in or a refresh gives: the secrets are shown once. */
export interface OpenSession {
  readonly sessionId: SessionId;
  readonly token: Secret<string>;
  readonly tokenSeconds: number;
  readonly refreshToken: Secret<string>;
  readonly refreshSeconds: number;
  readonly user: User;
  readonly memberships: readonly Membership[];
}

/** A user whose token and session are good at this moment. */
export interface SignedIn {
  readonly sessionId: SessionId;
  readonly user: User;
  readonly memberships: readonly Membership[];
}

/** Who has proven itself, how, and on what. */
export interface ProvenUser {
  readonly user: User;
  readonly memberships: readonly Membership[];
  /** RFC 8176. */
  readonly amr: readonly string[];
  readonly device: Device;
  /** For a page where a user says one thing and goes: the session ends with its admin token, nothing renews it. */
  readonly isBrief: boolean;
}

export interface Sessions {
  /** `useProof` runs in the transaction that opens the session; what it throws leaves nothing written. */
  open(proven: ProvenUser, useProof: (tx: Transaction) => Promise<void>): Promise<OpenSession>;
  /** Uses the token up and gives the next one. A second use of one ends its session (auth.md §2.6, §7). */
  refresh(refreshToken: Secret<string>, device: Device): Promise<OpenSession>;
  /** Ends the session of a refresh token; one that is not known any more is no error. */
  signOut(refreshToken: Secret<string>, visitor: Visitor): Promise<void>;
  /** The same by an admin token, which must be good. */
  signOutByToken(token: string, visitor: Visitor): Promise<void>;
  /** Reads the session at each call: one that was ended anywhere is refused from then on everywhere. */
  authenticate(token: string): Promise<SignedIn & { readonly signedInAtMs: number }>;
  /** The caller's user and where it belongs. */
  me(caller: Pick<SessionCaller, 'sessionId'>): Promise<SignedIn>;
  list(userId: UserId): Promise<Session[]>;
  /** Of the caller's own; 404 for any other, and for one that has ended. */
  revoke(caller: SessionCaller, id: SessionId): Promise<void>;
  /** For the start that changes the root key: admin tokens stay good. */
  changeRootKey(former: Secret<Buffer>): Promise<void>;
  /** In the caller's transaction; how many there were. */
  endOthers(tx: Transaction, userId: UserId, keep: SessionId): Promise<number>;
  /** How many rows of sessions that are over. */
  removeEnded(rowsMax: number): Promise<number>;
}

const USER_AGENT_CHARACTERS_MAX = 512;
/** Ours have some 500. */
const TOKEN_CHARACTERS_MAX = 2_048;

export function createSessions(deps: SessionsDeps): Sessions {
  const { db, clock, ids, random, auditLogs } = deps;
  const store = createSessionStore(db);
  // A line of its own: strangers can fill that of the sign-ins, and only who has had a session gets into this one.
  const refreshTokenWrites = createVisitorWrites(db);
  const signingKeys = createSigningKeys(deps);

  /** The signer is there before anything is written: a refresh token is used up by then, and its successor has to arrive. */
  async function openedWith(
    signer: TokenSigner,
    session: Session,
    refreshToken: Secret<string>,
    found: Found,
  ): Promise<OpenSession> {
    const nowSeconds = Math.floor(clock.nowMs() / 1000);
    const tokenSeconds = LIMITS.adminTokenMs / 1000;
    // `tid` and `role` tell what was so at this moment; membership is read again at each call.
    const home = found.memberships[0];
    const token = await signer.sign({
      sub: found.user.id,
      tid: home?.tenantId ?? null,
      sid: session.id,
      role: home?.role ?? null,
      iat: nowSeconds,
      exp: nowSeconds + tokenSeconds,
      amr: session.amr,
      auth_time: Math.floor(session.createdAtMs / 1000),
    });
    return {
      sessionId: session.id,
      token: new Secret(token),
      tokenSeconds,
      refreshToken,
      refreshSeconds: Math.floor((endOf(session) - clock.nowMs()) / 1000),
      ...found,
    };
  }

  /** False when it had ended already. */
  async function end(
    tx: Transaction,
    id: SessionId,
    owner: UserId | null,
    visitor: Visitor,
    reason: RevokeReason | 'logout',
  ): Promise<boolean> {
    const userId = await store.revoke(tx, id, owner, clock.nowMs());
    if (userId === undefined) return false;
    const tenants = (await store.membershipsOf(userId, tx)).map(({ tenantId }) => tenantId);
    const [action, details] =
      reason === 'logout'
        ? ['auth.logout', { session_id: id }]
        : ['auth.session.revoke', { session_id: id, reason }];
    await recordOfUser(tx, auditLogs, { tenants, userId, visitor }, action, details);
    return true;
  }

  async function authenticate(token: string) {
    if (token.length > TOKEN_CHARACTERS_MAX) throw invalidAdminToken();
    const signer = await signingKeys.adminTokens();
    const claims = await signer.verify(token, clock.nowMs());
    if (!claims) throw invalidAdminToken();
    const sessionId = claims['sid'] as SessionId;
    const found = await store.findUserOfSession(sessionId, clock.nowMs());
    if (!found || found.user.id !== claims['sub']) throw invalidAdminToken();
    return { sessionId, ...found, signedInAtMs: Number(claims['auth_time']) * 1000 };
  }

  return {
    changeRootKey: (former) => signingKeys.changeRootKey(former),

    async open({ user, memberships, amr, device, isBrief }, useProof) {
      const signer = await signingKeys.adminTokens();
      const { token, hash } = newOpaqueToken(random);
      const id = ids.uuid() as SessionId;
      const session = newSession(id, user.id, amr, device, clock.nowMs(), isBrief);
      // Who has proven itself is no stranger, and must not be turned away after the attempt was counted.
      await db.transaction(async (tx) => {
        await useProof(tx);
        const keep = LIMITS.sessionsPerUserMax - 1;
        for (const oldest of await store.listOldest(tx, user.id, session.createdAtMs, keep))
          await end(tx, oldest, user.id, device, 'sessions_max');
        await store.insert(tx, session);
        if (!isBrief) await store.insertRefreshToken(tx, hash, id, session.createdAtMs);
        const tenants = memberships.map(({ tenantId }) => tenantId);
        const of = { tenants, userId: user.id, visitor: device };
        await recordOfUser(tx, auditLogs, of, 'auth.login', { session_id: id, amr });
      });
      deps.onSignIn(user);
      return openedWith(signer, session, token, { user, memberships });
    },

    async refresh(refreshToken, device) {
      const hash = sha256(refreshToken.reveal());
      if ((await store.findSessionOfToken(hash)) === undefined) throw sessionEnded();
      const signer = await signingKeys.adminTokens();
      const next = newOpaqueToken(random);
      const nowMs = clock.nowMs();
      const use = { ...clientOf(device), nowMs, idleExpiresAtMs: nowMs + LIMITS.sessionIdleMs };
      const refreshed = await refreshTokenWrites(async (tx) => {
        const isFirstUse = await store.useRefreshToken(tx, hash, nowMs);
        const id = await store.findSessionOfToken(hash, tx);
        if (id === undefined) return null;
        if (!isFirstUse) {
          // Somebody has a copy, and it is not known who of the two is the user (RFC 9700 §4.14.2).
          await end(tx, id, null, device, 'refresh_reuse');
          return null;
        }
        const session = await store.touch(tx, id, use);
        const found = session && (await store.findUserOfSession(id, nowMs, tx));
        if (!found) return null;
        await store.insertRefreshToken(tx, next.hash, id, nowMs);
        return { session, found };
      });
      if (!refreshed) throw sessionEnded();
      return openedWith(signer, refreshed.session, next.token, refreshed.found);
    },

    async signOut(refreshToken, visitor) {
      const hash = sha256(refreshToken.reveal());
      // Strangers' tokens are turned away by a read: the one writer of an embedded database is everybody's.
      if ((await store.findSessionOfToken(hash)) === undefined) return;
      await refreshTokenWrites(async (tx) => {
        const id = await store.findSessionOfToken(hash, tx);
        if (id !== undefined) await end(tx, id, null, visitor, 'logout');
      });
    },

    async signOutByToken(token, visitor) {
      const { sessionId, user } = await authenticate(token);
      await db.transaction((tx) => end(tx, sessionId, user.id, visitor, 'logout'));
    },

    authenticate,

    async me({ sessionId }) {
      const found = await store.findUserOfSession(sessionId, clock.nowMs());
      if (!found) throw invalidAdminToken();
      return { sessionId, ...found };
    },

    list: (userId) => store.listActive(userId, clock.nowMs()),

    async revoke(caller, id) {
      const isEnded = await db.transaction((tx) => end(tx, id, caller.userId, caller, 'asked'));
      if (!isEnded) throw notFound('Session');
    },

    endOthers: (tx, userId, keep) => store.revokeAll(tx, userId, clock.nowMs(), keep),

    removeEnded: (rowsMax) => db.transaction((tx) => store.removeEnded(tx, clock.nowMs(), rowsMax)),
  };
}

/** When it ends unless it is used again before. */
export function endOf(session: Session): number {
  return Math.min(session.idleExpiresAtMs, session.expiresAtMs);
}

interface Found {
  readonly user: User;
  readonly memberships: readonly Membership[];
}

function newSession(
  id: SessionId,
  userId: UserId,
  amr: readonly string[],
  device: Device,
  nowMs: number,
  isBrief: boolean,
): Session {
  return {
    id,
    userId,
    amr,
    ...clientOf(device),
    createdAtMs: nowMs,
    lastUsedAtMs: nowMs,
    idleExpiresAtMs: nowMs + (isBrief ? LIMITS.adminTokenMs : LIMITS.sessionIdleMs),
    expiresAtMs: nowMs + (isBrief ? LIMITS.adminTokenMs : LIMITS.sessionMs),
  };
}

function clientOf({ ip, userAgent }: Device): { ip: string | null; userAgent: string | null } {
  return { ip, userAgent: userAgent?.slice(0, USER_AGENT_CHARACTERS_MAX) ?? null };
}
