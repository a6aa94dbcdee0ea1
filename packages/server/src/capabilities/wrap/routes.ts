import { type RouteDefinition, route } from '../../platform/http/route.js';
import { interceptManifestRoutes } from './manifest/routes.js';
import type { InterceptManifest } from './manifest/service.js';
import { observationRoutes } from './observations/routes.js';
import {
  credentialBody,
  credentialResponse,
  credentialWire,
  madeTokenResponse,
  madeTokenWire,
  revokedResponse,
  tokenBody,
  tokenParams,
  tokensResponse,
  tokensWire,
} from './schemas.js';
import type { Wrap } from './service.js';

export interface WrapRoutesDeps {
  readonly wrap: Wrap;
  readonly interceptManifest: InterceptManifest;
}

/** dataplane.md §3.1. */
export function wrapRoutes({ wrap, interceptManifest }: WrapRoutesDeps): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: '/v1/wrap/credentials',
      summary: 'Store the credential of an API, for calls to its hosts alone',
      permission: 'wrap:write',
      audit: 'wrap.credential.create',
      body: credentialBody,
      response: credentialResponse,
      errors: ['plan_limit', 'conflict', 'tenant_sealed'],
      status: 201,
      noStore: true,
      handle: ({ caller, body }) => wrap.escrow(caller, body),
      wire: credentialWire,
    }),
    route({
      method: 'POST',
      path: '/v1/wrap/tokens',
      summary: 'Make a token that calls one host with a stored credential',
      permission: 'wrap:write',
      audit: 'wrap.token.create',
      body: tokenBody,
      response: madeTokenResponse,
      errors: ['not_found', 'conflict'],
      status: 201,
      noStore: true,
      handle: ({ caller, body }) => wrap.createToken(caller, body),
      wire: madeTokenWire,
    }),
    route({
      method: 'GET',
      path: '/v1/wrap/tokens',
      summary: 'List gateway tokens, the newest first, without the tokens themselves',
      permission: 'wrap:read',
      audit: null,
      response: tokensResponse,
      noStore: true,
      handle: async ({ caller }) => tokensWire(await wrap.tokens(caller)),
    }),
    route({
      method: 'DELETE',
      path: '/v1/wrap/tokens/:id',
      summary: 'Revoke a gateway token',
      permission: 'wrap:write',
      audit: 'wrap.token.revoke',
      params: tokenParams,
      response: revokedResponse,
      handle: ({ caller, params }) => wrap.revokeToken(caller, params.id),
      wire: ({ id }) => ({ id, revoked: true }),
    }),
    ...observationRoutes(wrap),
    ...interceptManifestRoutes(interceptManifest),
  ];
}
