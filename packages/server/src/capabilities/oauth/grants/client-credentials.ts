import { LIMITS } from '../../../kernel/limits.js';
import type { Database } from '../../../platform/storage/database.js';
import type { Dpop } from '../../dpop/index.js';
import type { KnownClient } from '../../oauth-clients/index.js';
import { invalidClient } from '../errors.js';
import { grantedScopes } from '../tokens/scopes.js';
import type { MintRequest, OAuthTokens } from '../tokens/service.js';
import type { TokenSource } from '../tokens/sources.js';
import { actorOfSource, type Grant, type TokenCall } from './grant.js';

export interface ClientCredentialsDeps {
  readonly db: Pick<Database, 'commitInserts'>;
  readonly tokens: Pick<OAuthTokens, 'mintRows'>;
  readonly dpop: Pick<Dpop, 'consume'>;
}

/** RFC 6749 §4.4: the client acts for itself. No refresh token: its secret gives the next one (auth.md §2.2). */
export function clientCredentialsGrant({ db, tokens, dpop }: ClientCredentialsDeps): Grant {
  return {
    type: 'client_credentials',
    client: 'required',
    async run(call) {
      const client = authenticated(call);
      const request = mintRequest(call, client);
      const { minted, rows } = tokens.mintRows(request, actorOfSource(client.scope, request.source, call));
      // Only the proof is used up, and its row decides: all of them share a commit with those of others.
      if (call.proof === null) await db.commitInserts(rows);
      else await dpop.consume(call.proof, rows);
      const { accessToken, expiresInSeconds, tokenType } = minted;
      const scope = request.permissions.join(' ');
      return { accessToken, expiresInSeconds, tokenType, scope, tenantSlug: client.tenant.slug };
    },
  };
}

function authenticated({ client }: TokenCall): KnownClient {
  if (client === null || !client.isAuthenticated) throw invalidClient(false);
  return client;
}

function mintRequest({ params, proof }: TokenCall, client: KnownClient): MintRequest {
  return {
    scope: client.scope,
    source: sourceOf(client),
    grantType: 'client_credentials',
    permissions: grantedScopes(params.get('scope'), client.permissions),
    jkt: proof?.jkt ?? null,
    ttlSeconds: LIMITS.accessTokenSeconds,
    familyId: null,
    notAfterMs: client.expiresAtMs,
  };
}

function sourceOf({ source, epoch }: KnownClient): TokenSource {
  return source.kind === 'client' ? { kind: 'client', oauthClientId: source.oauthClientId, epoch } : source;
}
