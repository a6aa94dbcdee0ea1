import { assert } from '../../../kernel/assert.js';
import type { Clock } from '../../../kernel/clock.js';
import {
  type IdSource,
  modeOf,
  type OAuthFamilyId,
  type OAuthTokenId,
  type Scope,
  type TenantId,
  type UserId,
} from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Actor } from '../../../kernel/principal.js';
import type { Secret } from '../../../kernel/secret.js';
import type { Generations } from '../../../platform/cache/generations.js';
import { equalInConstantTime } from '../../../platform/crypto/hashing.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Database, Insertion, Transaction } from '../../../platform/storage/database.js';
import { credentialGeneration } from '../../accounts/index.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { mintEntry, reuseEntry, revokeEntry } from '../audit.js';
import { invalidGrant } from '../errors.js';
import { createFamilyStore, type RefreshToken } from './family-store.js';
import { scopesText } from './scopes.js';
import type { FindSource, SourceState, TokenSource } from './sources.js';
import { createTokenStore, keyText, type StoredToken, sourceColumnsOf } from './store.js';
import { accessTokenKey, hashToken, newAccessToken, newRefreshToken } from './token-format.js';

export interface OAuthTokensDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly generations: Pick<Generations, 'bump'>;
  readonly auditLogs: Pick<AuditLogs, 'record' | 'insertion'>;
  readonly findSource: FindSource;
}

export interface MintRequest {
  readonly scope: Scope;
  readonly source: TokenSource;
  readonly grantType: string;
  readonly permissions: readonly string[];
  /** Of the proof that came with the request; null = a Bearer token. */
  readonly jkt: string | null;
  readonly ttlSeconds: number;
  readonly familyId: OAuthFamilyId | null;
  /** The token of ours that is exchanged for it. */
  readonly parentTokenId?: OAuthTokenId;
  /** It never outlives this: the end of its key, or of the token it was exchanged for. */
  readonly notAfterMs?: number | null;
}

export interface MintedToken {
  readonly id: OAuthTokenId;
  readonly accessToken: Secret<string>;
  readonly expiresInSeconds: number;
  readonly tokenType: 'Bearer' | 'DPoP';
}

export interface FamilyRequest {
  readonly scope: Scope;
  readonly source: Extract<TokenSource, { kind: 'user' }>;
  readonly grantType: string;
  readonly permissions: readonly string[];
  readonly jkt: string | null;
}

/** A token that is good at this moment, and what its source may do at this moment. */
export interface LiveToken extends Omit<StoredToken, 'revokedAtMs'> {
  readonly state: SourceState;
}

export type RevokeReason = 'asked' | 'refresh_reuse' | 'code_reuse';

export interface OAuthTokens {
  /** With its audit row, in the transaction that uses up what it is given for. */
  mintIn(tx: Transaction, request: MintRequest, actor: Actor): Promise<MintedToken>;
  /** The same as rows of a group commit, for a grant that uses nothing up. */
  mintRows(
    request: MintRequest,
    actor: Actor,
  ): { readonly minted: MintedToken; readonly rows: readonly Insertion[] };
  /** A family of refresh tokens with its first one (auth.md §2.6). */
  openFamilyIn(
    tx: Transaction,
    request: FamilyRequest,
  ): Promise<{ readonly familyId: OAuthFamilyId; readonly refreshToken: Secret<string> }>;
  /** Undefined: unknown, ended, revoked, or of a source that is. */
  find(accessToken: string): Promise<LiveToken | undefined>;
  /** The same of its row, for what was made with it. */
  findLive(scope: Scope, id: OAuthTokenId): Promise<LiveToken | undefined>;
  /** Whatever has become of it. */
  findStored(accessToken: string): Promise<StoredToken | undefined>;
  /** Used, revoked or not. */
  findRefresh(refreshToken: string): Promise<RefreshToken | undefined>;
  stateOf(scope: Scope, source: TokenSource): Promise<SourceState | undefined>;
  /** Uses it up and gives the next one; null, and nothing written, where it was used in the meantime. */
  useRefreshIn(tx: Transaction, token: RefreshToken, ip: string | null): Promise<Secret<string> | null>;
  /** What its use was answered with, sealed. */
  keepAnswerIn(tx: Transaction, token: RefreshToken, sealedAnswer: Buffer): Promise<void>;
  /** Of a user who is removed from a tenant: all that clients hold there on its behalf; how many access tokens. */
  endOfUserIn(tx: Transaction, tenantId: TenantId, userId: UserId): Promise<number>;
  /** Of a refresh token that was used twice: ends its family. */
  endReused(token: RefreshToken, actor: Actor): Promise<void>;
  /** For a mint that hangs on it: of this and a revocation beside it, one sees the other. */
  isLiveIn(tx: Transaction, scope: Scope, id: OAuthTokenId): Promise<boolean>;
  /** With what was got for it by exchange; false where it was revoked already. */
  revokeIn(tx: Transaction, scope: Scope, id: OAuthTokenId, actor: Actor): Promise<boolean>;
  /** Its refresh and access tokens, all at once; false where it was revoked already. */
  revokeFamilyIn(
    tx: Transaction,
    scope: Scope,
    id: OAuthFamilyId,
    reason: RevokeReason,
    actor: Actor,
  ): Promise<boolean>;
  /** Rows of what has ended, at most `rowsMax` of each kind. */
  removeEnded(rowsMax: number): Promise<{ readonly rows: number; readonly hasMore: boolean }>;
}

/** What has ended is kept so long, for who asks where a token came from. */
const ENDED_KEPT_MS = 86_400_000;

export function createOAuthTokens(deps: OAuthTokensDeps): OAuthTokens {
  const { db, clock, ids, random, generations, auditLogs, findSource } = deps;
  const store = createTokenStore(db);
  const families = createFamilyStore(db);

  function draw(request: MintRequest, actor: Actor) {
    const { scope, source, jkt, familyId } = request;
    const nowMs = clock.nowMs();
    const endMs = nowMs + request.ttlSeconds * 1000;
    const expiresAtMs = Math.min(endMs, request.notAfterMs ?? endMs);
    assert(expiresAtMs > nowMs, 'a token is minted for a source that has ended');
    const key = newAccessToken(random, modeOf(scope), nowMs);
    const token: Omit<StoredToken, 'revokedAtMs'> = {
      id: ids.uuid() as OAuthTokenId,
      scope,
      hash: key.hash,
      source,
      grantType: request.grantType,
      permissions: new Set(request.permissions),
      jkt,
      familyId,
      parentTokenId: request.parentTokenId ?? null,
      ip: actor.ip,
      issuedAtMs: nowMs,
      expiresAtMs,
    };
    const row = {
      id: token.id,
      token_hash: keyText(key),
      ...sourceColumnsOf(source),
      grant_type: token.grantType,
      scopes: scopesText(request.permissions),
      cnf_jkt: jkt,
      family_id: familyId,
      parent_token_id: token.parentTokenId,
      ip_address: actor.ip,
      issued_at: nowMs,
      expires_at: expiresAtMs,
      revoked_at: null,
    };
    const minted: MintedToken = {
      id: token.id,
      accessToken: key.text,
      expiresInSeconds: Math.floor((expiresAtMs - nowMs) / 1000),
      tokenType: jkt === null ? 'Bearer' : 'DPoP',
    };
    return { row, minted, entry: mintEntry(token) };
  }

  async function live(token: StoredToken): Promise<LiveToken | undefined> {
    if (token.revokedAtMs !== null || token.expiresAtMs <= clock.nowMs()) return undefined;
    const state = await findSource(token.scope, token.source);
    return state && { ...token, state };
  }

  return {
    async mintIn(tx, request, actor) {
      const { row, minted, entry } = draw(request, actor);
      await store.insert(tx, request.scope, row);
      await auditLogs.record(tx, actor, entry);
      return minted;
    },

    mintRows(request, actor) {
      const { row, minted, entry } = draw(request, actor);
      return { minted, rows: [store.insertion(request.scope, row), auditLogs.insertion(actor, entry)] };
    },

    async openFamilyIn(tx, { scope, source, grantType, permissions, jkt }) {
      const nowMs = clock.nowMs();
      const { text, hash } = newRefreshToken(random);
      const familyId = ids.uuid() as OAuthFamilyId;
      await families.insert(tx, {
        id: familyId,
        scope,
        source,
        grantType,
        permissions: new Set(permissions),
        jkt,
        refreshes: 0,
        createdAtMs: nowMs,
        idleExpiresAtMs: nowMs + LIMITS.refreshTokenIdleMs,
        expiresAtMs: nowMs + LIMITS.refreshTokenMs,
        revokedAtMs: null,
        revokedReason: null,
      });
      await families.insertRefreshToken(tx, scope, { hash, familyId, issuedAtMs: nowMs });
      return { familyId, refreshToken: text };
    },

    async find(accessToken) {
      const key = accessTokenKey(accessToken);
      const token = await store.findByKey(key);
      return token && equalInConstantTime(token.hash, key.hash) ? live(token) : undefined;
    },

    async findLive(scope, id) {
      const token = await store.find(scope, id);
      const family = token && token.familyId !== null && (await families.find(scope, token.familyId));
      const isEnded = !token || (family && family.revokedAtMs !== null);
      return isEnded ? undefined : live(token);
    },

    findStored: (accessToken) => store.findByKey(accessTokenKey(accessToken)),
    findRefresh: (refreshToken) => families.findByHash(hashToken(refreshToken)),
    stateOf: (scope, source) => findSource(scope, source),

    async useRefreshIn(tx, { hash, family }, ip) {
      const { id: familyId, scope } = family;
      const nowMs = clock.nowMs();
      if (!(await families.use(tx, scope, hash, { nowMs, ip }))) return null;
      const idleMs = Math.min(nowMs + LIMITS.refreshTokenIdleMs, family.expiresAtMs);
      const isActive = await families.touch(tx, scope, familyId, idleMs);
      if (!isActive) throw invalidGrant('The refresh token is not valid');
      const next = newRefreshToken(random);
      await families.insertRefreshToken(tx, scope, { hash: next.hash, familyId, issuedAtMs: nowMs });
      return next.text;
    },

    keepAnswerIn: (tx, { hash, family }, sealedAnswer) =>
      families.keepAnswer(tx, family.scope, hash, sealedAnswer),

    async endOfUserIn(tx, tenantId, userId) {
      await families.revokeOfUser(tx, tenantId, userId, clock.nowMs());
      return store.revokeOfUser(tx, tenantId, userId, clock.nowMs());
    },

    async endReused({ hash, family }, actor) {
      const { scope, id } = family;
      await db.transaction(async (tx) => {
        // Said once: who goes on trying fills no log.
        if (!(await families.revoke(tx, scope, id, 'refresh_reuse', clock.nowMs()))) return;
        await generations.bump(tx, credentialGeneration(scope.tenantId));
        await auditLogs.record(tx, actor, reuseEntry(id, hash));
      });
    },

    isLiveIn: (tx, scope, id) => store.isLive(tx, scope, id, clock.nowMs()),

    async revokeIn(tx, scope, id, actor) {
      const isRevoked = await store.revoke(tx, scope, id, clock.nowMs());
      if (!isRevoked) return false;
      await generations.bump(tx, credentialGeneration(scope.tenantId));
      await auditLogs.record(tx, actor, revokeEntry(id, { kind: 'access_token' }));
      return true;
    },

    async revokeFamilyIn(tx, scope, id, reason, actor) {
      const isRevoked = await families.revoke(tx, scope, id, reason, clock.nowMs());
      if (!isRevoked) return false;
      await generations.bump(tx, credentialGeneration(scope.tenantId));
      await auditLogs.record(tx, actor, revokeEntry(id, { kind: 'family', reason }));
      return true;
    },

    removeEnded: (rowsMax) =>
      db.transaction(async (tx) => {
        const beforeMs = clock.nowMs() - ENDED_KEPT_MS;
        const tokens = await store.removeEnded(tx, beforeMs, rowsMax);
        const refresh = await families.removeEnded(tx, beforeMs, rowsMax);
        return { rows: tokens + refresh, hasMore: tokens >= rowsMax || refresh >= rowsMax };
      }),
  };
}
