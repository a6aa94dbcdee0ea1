import { LIMITS } from '../../../kernel/limits.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { Dpop } from '../../dpop/index.js';
import type { KnownClient } from '../../oauth-clients/index.js';
import { invalidClient, invalidGrant, invalidScope, type OAuthError, proofRequired } from '../errors.js';
import { printable, required } from '../request.js';
import type { Family, RefreshToken } from '../tokens/family-store.js';
import { grantedScopes } from '../tokens/scopes.js';
import type { OAuthTokens } from '../tokens/service.js';
import { actorOfSource, type Grant, type TokenAnswer, type TokenCall } from './grant.js';
import { openAnswer, sealAnswer } from './sealed-answer.js';

export interface RefreshTokenDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly random: Random;
  readonly tokens: OAuthTokens;
  readonly dpop: Pick<Dpop, 'consume' | 'consumeIn'>;
}

interface Refresh {
  readonly call: TokenCall;
  readonly client: KnownClient;
  readonly text: string;
  readonly found: RefreshToken;
}

/**
 * RFC 6749 §6 with rotation: a refresh token is good once. A second use ends its family, for nobody can tell which of
 * the two is the client (RFC 9700 §4.14.2); a client that has asked for a grace gets its answer again (auth.md §2.6).
 */
export function refreshTokenGrant({ db, random, tokens, dpop }: RefreshTokenDeps): Grant {
  async function refresh(of: Refresh): Promise<TokenAnswer | null> {
    const permissions = await scopesFor(of);
    return db.transaction((tx) => useIn(tx, of, permissions));
  }

  /** Null, and nothing written, where it was used in the meantime. */
  async function useIn(
    tx: Transaction,
    { call, client, text, found }: Refresh,
    permissions: readonly string[],
  ): Promise<TokenAnswer | null> {
    const { family } = found;
    const refreshToken = await tokens.useRefreshIn(tx, found, call.ip);
    if (refreshToken === null) return null;
    if (call.proof !== null) await dpop.consumeIn(tx, call.proof);
    const request = {
      scope: family.scope,
      source: family.source,
      grantType: 'refresh_token',
      permissions,
      jkt: call.proof?.jkt ?? null,
      ttlSeconds: LIMITS.accessTokenSeconds,
      familyId: family.id,
    };
    const minted = await tokens.mintIn(tx, request, actorOfSource(family.scope, family.source, call));
    const answer = {
      ...minted,
      scope: permissions.join(' '),
      refreshToken,
      tenantSlug: client.tenant.slug,
    };
    if (client.refreshGraceSeconds > 0)
      await tokens.keepAnswerIn(tx, found, sealAnswer(random, text, family, answer));
    return answer;
  }

  /** What was never consented to is refused; rights that the user has lost are left out (RFC 6749 §6, case F15). */
  async function scopesFor({ call, found: { family } }: Refresh): Promise<readonly string[]> {
    const state = await tokens.stateOf(family.scope, family.source);
    if (!state) throw notValid();
    const asked = call.params
      .get('scope')
      ?.split(' ')
      .filter((name) => name !== '');
    const beyond = asked?.find((name) => !family.permissions.has(name));
    if (beyond !== undefined) throw invalidScope(`The scope ${printable(beyond)} was not granted`);
    const held = new Set([...family.permissions].filter((name) => state.may(name)));
    return grantedScopes(
      asked?.filter((name) => held.has(name)),
      held,
    );
  }

  /** It was used before: the same answer to the same client and key while its grace lasts, else the end of the family. */
  async function useAgain({ call, client, text, found }: Refresh): Promise<TokenAnswer> {
    const { family, usedAtMs, sealedAnswer } = found;
    const graceMs = client.refreshGraceSeconds * 1000;
    const isSameKey = family.jkt === null || family.jkt === call.proof?.jkt;
    if (sealedAnswer && usedAtMs !== null && call.nowMs < usedAtMs + graceMs && isSameKey) {
      requireActive(family, call);
      if (call.proof !== null) await dpop.consume(call.proof);
      return openAnswer(text, family, sealedAnswer);
    }
    await tokens.endReused(found, actorOfSource(family.scope, family.source, call));
    throw notValid();
  }

  return {
    type: 'refresh_token',
    client: 'required',
    async run(call) {
      const { client } = call;
      if (client === null) throw invalidClient(false);
      const text = required(call.params, 'refresh_token');
      const found = await tokens.findRefresh(text);
      if (!found || !isOf(found.family, client)) throw notValid();
      const presented: Refresh = { call, client, text, found };
      if (found.usedAtMs !== null) return useAgain(presented);
      requireActive(found.family, call);
      requireKey(found.family, call);
      const answer = await refresh(presented);
      if (answer !== null) return answer;
      const used = await tokens.findRefresh(text);
      if (!used) throw notValid();
      return useAgain({ ...presented, found: used });
    },
  };
}

/** One answer for all of these: a client can only ask its user to log in again. */
function notValid(): OAuthError {
  return invalidGrant('The refresh token is not valid');
}

function isOf({ scope, source }: Family, client: KnownClient): boolean {
  return (
    client.source.kind === 'client' &&
    client.source.oauthClientId === source.oauthClientId &&
    client.scope.tenantId === scope.tenantId &&
    client.scope.sandbox === scope.sandbox
  );
}

function requireActive(family: Family, { nowMs }: TokenCall): void {
  if (family.revokedAtMs !== null || nowMs >= family.idleExpiresAtMs) throw notValid();
}

/** auth.md §3: of a family that is bound to a key, no proof is one error and a proof of another key another. */
function requireKey({ jkt }: Family, { proof }: TokenCall): void {
  if (jkt === null) return;
  if (proof === null) throw proofRequired();
  if (proof.jkt !== jkt) throw invalidGrant('The refresh token is bound to another key');
}
