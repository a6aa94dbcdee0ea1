import { modeOf } from '../../kernel/ids.js';
import type { Database } from '../../platform/storage/database.js';
import type { KnownClient } from '../oauth-clients/index.js';
import type { AuthenticateClient } from './client-authentication.js';
import { invalidClient } from './errors.js';
import { actorOfSource } from './grants/grant.js';
import { type OAuthRequest, required } from './request.js';
import type { OAuthTokens } from './tokens/service.js';
import type { TokenSource } from './tokens/sources.js';
import type { StoredToken } from './tokens/store.js';
import { ACCESS_TOKEN_PREFIX } from './tokens/token-format.js';

export interface RevocationDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly authenticateClient: AuthenticateClient;
  readonly tokens: Pick<OAuthTokens, 'find' | 'findRefresh' | 'revokeIn' | 'revokeFamilyIn'>;
}

/**
 * `POST /oauth/revoke` (RFC 7009). A refresh token takes its family with it, an access token what was got for it by
 * exchange. What is not the caller's own is left as it is, and the answer is the same.
 */
export function createRevocation({ db, authenticateClient, tokens }: RevocationDeps) {
  async function access(text: string, client: KnownClient, request: OAuthRequest): Promise<void> {
    const token = await tokens.find(text);
    if (!token || !isOf(token, client)) return;
    const actor = actorOfSource(token.scope, token.source, request);
    await db.transaction((tx) => tokens.revokeIn(tx, token.scope, token.id, actor));
  }

  async function refresh(text: string, client: KnownClient, request: OAuthRequest): Promise<void> {
    const token = await tokens.findRefresh(text);
    if (!token || !isOf(token.family, client)) return;
    const { scope, id, source } = token.family;
    const actor = actorOfSource(scope, source, request);
    await db.transaction((tx) => tokens.revokeFamilyIn(tx, scope, id, 'asked', actor));
  }

  return async (request: OAuthRequest): Promise<Record<string, unknown>> => {
    // What was stolen must not become good again with the subscription (docs/decisions/0070).
    const client = await authenticateClient(request, true);
    if (client === null) throw invalidClient(false);
    const text = required(request.params, 'token');
    await (text.startsWith(ACCESS_TOKEN_PREFIX) ? access : refresh)(text, client, request);
    return {};
  };
}

function isOf({ scope, source }: Pick<StoredToken, 'scope' | 'source'>, client: KnownClient): boolean {
  const isSameSpace = scope.tenantId === client.scope.tenantId && modeOf(scope) === modeOf(client.scope);
  return isSameSpace && isOfSource(source, client.source);
}

function isOfSource(source: TokenSource, of: KnownClient['source']): boolean {
  if (of.kind === 'api_key') return source.kind === 'api_key' && source.apiKeyId === of.apiKeyId;
  return (source.kind === 'client' || source.kind === 'user') && source.oauthClientId === of.oauthClientId;
}
