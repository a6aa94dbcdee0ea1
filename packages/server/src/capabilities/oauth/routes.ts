import type { z } from 'zod';
import { isoTime, isoTimeOrNull } from '../../kernel/clock.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import type { Explain } from './explain.js';
import { type Lineage, type ReadLineage, type StoredToken, sourceColumnsOf } from './lineage.js';
import { explainBody, explainResponse, lineageResponse, tokenParams } from './schemas.js';
import { ordered } from './tokens/scopes.js';

export interface OAuthRoutesDeps {
  readonly explain: Explain;
  readonly lineage: ReadLineage;
}

/** For who looks after clients: why a token is refused, and where one came from (auth.md §2.10). */
export function oauthRoutes(deps: OAuthRoutesDeps): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: '/v1/oauth/explain',
      summary: 'Say which check an access token or a DPoP proof fails',
      operationId: 'explainToken',
      permission: 'oauth-clients:read',
      audit: null,
      body: explainBody,
      response: explainResponse,
      async handle({ caller, body }): Promise<z.input<typeof explainResponse>> {
        const { ok, checks } = await deps.explain(caller.principal.scope, body);
        return { ok, checks: [...checks] };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/oauth/tokens/:id/lineage',
      summary: 'Say where an access token came from',
      operationId: 'getTokenLineage',
      permission: 'oauth-clients:read',
      audit: null,
      params: tokenParams,
      response: lineageResponse,
      handle: async ({ caller, params }) => lineageOf(await deps.lineage(caller.principal.scope, params.id)),
    }),
  ];
}

function lineageOf(lineage: Lineage): z.input<typeof lineageResponse> {
  const { token, family } = lineage;
  const { source_epoch: _, ...ids } = sourceColumnsOf(token.source);
  return {
    source: { kind: token.source.kind, ...ids },
    cnf_jkt: token.jkt,
    family: family && {
      id: family.id,
      grant_type: family.grantType,
      scope: ordered(family.permissions).join(' '),
      cnf_jkt: family.jkt,
      refreshes: family.refreshes,
      created_at: isoTime(family.createdAtMs),
      idle_expires_at: isoTime(family.idleExpiresAtMs),
      expires_at: isoTime(family.expiresAtMs),
      revoked_at: isoTimeOrNull(family.revokedAtMs),
      revoked_reason: family.revokedReason,
      tokens: lineage.siblings.map(tokenOf),
    },
    exchanges: lineage.exchanges.map(tokenOf),
    refreshes: lineage.refreshes.map(({ issuedAtMs, usedAtMs, ip }) => ({
      issued_at: isoTime(issuedAtMs),
      used_at: isoTimeOrNull(usedAtMs),
      ip_address: ip,
    })),
  };
}

function tokenOf(token: StoredToken) {
  return {
    id: token.id,
    grant_type: token.grantType,
    scope: ordered(token.permissions).join(' '),
    cnf_jkt: token.jkt,
    ip_address: token.ip,
    issued_at: isoTime(token.issuedAtMs),
    expires_at: isoTime(token.expiresAtMs),
    revoked_at: isoTimeOrNull(token.revokedAtMs),
  };
}
