import { modeOf, type Scope } from '../../kernel/ids.js';
import type { KnownClient } from '../oauth-clients/index.js';
import type { AuthenticateClient } from './client-authentication.js';
import { invalidClient } from './errors.js';
import { type OAuthRequest, required } from './request.js';
import { ordered } from './tokens/scopes.js';
import type { OAuthTokens } from './tokens/service.js';
import type { SourceState, TokenSource } from './tokens/sources.js';
import { ACCESS_TOKEN_PREFIX } from './tokens/token-format.js';

export interface IntrospectionDeps {
  readonly authenticateClient: AuthenticateClient;
  readonly tokens: Pick<OAuthTokens, 'find' | 'findRefresh' | 'stateOf'>;
  nowMs(): number;
}

/** Of whatever is not a good token of the caller's tenant and mode: nothing else (RFC 7662 §2.2). */
const INACTIVE = { active: false };
const AUDIENCE = 'knoxcall:api';

/** `POST /oauth/introspect` (RFC 7662). The hint is not needed: the token itself tells its kind. */
export function createIntrospection({ authenticateClient, tokens, nowMs }: IntrospectionDeps) {
  async function access(text: string, client: KnownClient, issuer: string) {
    const token = await tokens.find(text);
    if (!token || !isSameSpace(token.scope, client.scope)) return INACTIVE;
    const { state, jkt } = token;
    const held = new Set([...token.permissions].filter((permission) => state.may(permission)));
    return {
      active: true,
      scope: ordered(held).join(' '),
      token_type: jkt === null ? 'Bearer' : 'DPoP',
      iat: seconds(token.issuedAtMs),
      nbf: seconds(token.issuedAtMs),
      exp: seconds(token.expiresAtMs),
      jti: token.id,
      ...subjectOf(token.source, state, client, issuer),
      ...(jkt !== null && { cnf: { jkt } }),
    };
  }

  async function refresh(text: string, client: KnownClient, issuer: string) {
    const token = await tokens.findRefresh(text);
    if (!token || !isSameSpace(token.family.scope, client.scope)) return INACTIVE;
    const { family, usedAtMs } = token;
    if (usedAtMs !== null || family.revokedAtMs !== null || family.idleExpiresAtMs <= nowMs())
      return INACTIVE;
    const state = await tokens.stateOf(family.scope, family.source);
    if (!state) return INACTIVE;
    return {
      active: true,
      scope: ordered(family.permissions).join(' '),
      iat: seconds(token.issuedAtMs),
      exp: seconds(family.idleExpiresAtMs),
      ...subjectOf(family.source, state, client, issuer),
      ...(family.jkt !== null && { cnf: { jkt: family.jkt } }),
    };
  }

  return async (request: OAuthRequest): Promise<Record<string, unknown>> => {
    const client = await authenticateClient(request);
    // A public client has shown nothing that it may ask (auth.md §2.6).
    if (client === null || !client.isAuthenticated) throw invalidClient(false);
    const text = required(request.params, 'token');
    const answer = text.startsWith(ACCESS_TOKEN_PREFIX) ? access : refresh;
    return answer(text, client, request.origin);
  };
}

function subjectOf(source: TokenSource, state: SourceState, { tenant }: KnownClient, issuer: string) {
  return {
    client_id: state.clientId,
    sub: source.kind === 'user' ? source.userId : state.clientId,
    ...(state.user && { username: state.user.email }),
    aud: AUDIENCE,
    iss: issuer,
    tenant: tenant.slug,
  };
}

function isSameSpace(one: Scope, other: Scope): boolean {
  return one.tenantId === other.tenantId && modeOf(one) === modeOf(other);
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}
