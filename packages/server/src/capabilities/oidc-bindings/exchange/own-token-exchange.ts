import { LIMITS } from '../../../kernel/limits.js';
import { servesAt } from '../../../platform/http/hosts.js';
import type { Database } from '../../../platform/storage/database.js';
import { type Accounts, isSubscriptionActive } from '../../accounts/index.js';
import type { Dpop } from '../../dpop/index.js';
import {
  actorOfSource,
  grantedScopes,
  invalidGrant,
  type LiveToken,
  type OAuthTokens,
  proofRequired,
  type TokenAnswer,
  type TokenCall,
  tenantInactive,
} from '../../oauth/index.js';

export interface OwnTokenExchangeDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly tokens: Pick<OAuthTokens, 'find' | 'isLiveIn' | 'mintIn'>;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly dpop: Pick<Dpop, 'consumeIn'>;
}

/**
 * An access token of this server for one of the same source with less in its scope, or bound to a key. It never
 * outlives the first, which stays as it is (auth.md §4; RFC 8693 §2.2.1).
 */
export function createOwnTokenExchange({ db, tokens, accounts, dpop }: OwnTokenExchangeDeps) {
  return async (call: TokenCall, subjectToken: string): Promise<TokenAnswer> => {
    const token = await tokens.find(subjectToken);
    const tenant = token && (await accounts.tenantById(token.scope.tenantId));
    if (!token || !tenant || !isValidHere(call, token, tenant.slug))
      throw invalidGrant('The subject token is not valid here');
    requireSameKey(call, token);
    if (!isSubscriptionActive(tenant.subscriptionStatus)) throw tenantInactive();
    const { scope, source, state, familyId } = token;
    const held = new Set([...token.permissions].filter((permission) => state.may(permission)));
    const permissions = grantedScopes(call.params.get('scope'), held);
    const { proof } = call;
    const minted = await db.transaction(async (tx) => {
      if (!(await tokens.isLiveIn(tx, scope, token.id)))
        throw invalidGrant('The subject token is not valid here');
      if (proof) await dpop.consumeIn(tx, proof);
      const request = {
        scope,
        source,
        grantType: 'token_exchange',
        permissions,
        jkt: proof?.jkt ?? null,
        ttlSeconds: LIMITS.accessTokenSeconds,
        familyId,
        parentTokenId: token.id,
        notAfterMs: Math.min(token.expiresAtMs, state.expiresAtMs ?? token.expiresAtMs),
      };
      return tokens.mintIn(tx, request, actorOfSource(scope, source, call));
    });
    return { ...minted, scope: permissions.join(' '), tenantSlug: tenant.slug };
  };
}

function isValidHere({ host, params }: TokenCall, { scope }: LiveToken, slug: string): boolean {
  return servesAt(host, scope, slug) && (params.get('tenant') ?? slug) === slug;
}

/** Whoever stole a bound token must not get an unbound one for it. */
function requireSameKey({ proof }: TokenCall, { jkt }: LiveToken): void {
  if (jkt === null) return;
  if (!proof) throw proofRequired();
  if (proof.jkt !== jkt) throw invalidGrant('The subject token is bound to another key');
}
