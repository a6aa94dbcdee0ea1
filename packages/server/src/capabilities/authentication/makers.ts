import { isAppError } from '../../kernel/errors.js';
import type { ApiKeyId, OAuthTokenId, Scope, SessionId } from '../../kernel/ids.js';
import type { Principal } from '../../kernel/principal.js';
import { type Accounts, isSubscriptionActive, type Sessions } from '../accounts/index.js';
import type { ApiKeys } from '../api-keys/index.js';
import type { OAuthTokens } from '../oauth/index.js';
import type { Permissions } from '../permissions/index.js';
import { keyPrincipal, tokenPrincipal } from './known-credentials.js';
import { userPrincipal } from './users.js';

/** The credential with which something was made that acts on its behalf later. */
export type Maker =
  | { readonly kind: 'api_key'; readonly id: ApiKeyId }
  | { readonly kind: 'user'; readonly id: SessionId }
  | { readonly kind: 'oauth_token'; readonly id: OAuthTokenId };

export interface Makers {
  /**
   * What the maker is and may do at this moment, read and not remembered; undefined where the credential could not make
   * a call any more: revoked, ended, signed out, or of a tenant that is paused or gone.
   */
  principalOf(scope: Scope, maker: Maker): Promise<Principal | undefined>;
}

export interface MakersDeps {
  readonly apiKeys: Pick<ApiKeys, 'findActive'>;
  readonly tokens: Pick<OAuthTokens, 'findLive'>;
  readonly sessions: Pick<Sessions, 'me'>;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly permissions: Pick<Permissions, 'decisionOfKey'>;
}

export function makerOf(principal: Principal): Maker {
  switch (principal.kind) {
    case 'api_key':
      return { kind: 'api_key', id: principal.apiKeyId };
    case 'user':
      return { kind: 'user', id: principal.sessionId };
    case 'oauth_token':
      return { kind: 'oauth_token', id: principal.tokenId };
    case 'client':
      throw new Error('a client calls routes alone');
    case 'wrap_token':
      throw new Error('a gateway token makes nothing');
    case 'inbound_webhook':
      throw new Error('an inbound webhook calls its route alone');
  }
}

export function createMakers(deps: MakersDeps): Makers {
  const { apiKeys, tokens, sessions, accounts, permissions } = deps;

  async function user({ tenantId, sandbox }: Scope, sessionId: SessionId): Promise<Principal | undefined> {
    try {
      const signedIn = await sessions.me({ sessionId });
      const membership = signedIn.memberships.find((one) => one.tenantId === tenantId);
      return membership && userPrincipal(signedIn, membership, sandbox);
    } catch (error) {
      if (isAppError(error, 'invalid_token')) return undefined;
      throw error;
    }
  }

  return {
    async principalOf(scope, maker) {
      const tenant = await accounts.tenantById(scope.tenantId);
      if (!tenant || !isSubscriptionActive(tenant.subscriptionStatus)) return undefined;
      if (maker.kind === 'user') return user(scope, maker.id);
      if (maker.kind === 'oauth_token') {
        const token = await tokens.findLive(scope, maker.id);
        return token && tokenPrincipal(token, tenant);
      }
      const key = await apiKeys.findActive(scope, maker.id);
      return key && keyPrincipal(key, tenant, await permissions.decisionOfKey(scope.tenantId, key.access));
    },
  };
}
