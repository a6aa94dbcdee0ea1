import { type RouteDefinition, route } from '../../../platform/http/route.js';
import { secretParams } from '../schemas.js';
import type { Secrets } from '../service.js';
import {
  begunResponse,
  begunWire,
  connectBody,
  createdOAuth2Response,
  createdOAuth2Wire,
  createOAuth2Body,
  oauth2TokenResponse,
  oauth2TokenWire,
  tokenQuery,
} from './schemas.js';

/** dataplane.md §3. */
export function oauth2SecretRoutes(secrets: Pick<Secrets, 'oauth2'>): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: '/v1/secrets/oauth2',
      summary: 'Make a secret whose value is an access token of another service, kept fresh',
      permission: 'secrets:write',
      audit: 'secret.create',
      body: createOAuth2Body,
      response: createdOAuth2Response,
      errors: ['plan_limit', 'plan_feature', 'conflict', 'ssrf_blocked', 'egress_blocked', 'tenant_sealed'],
      status: 201,
      handle: ({ caller, body }) => secrets.oauth2.create(caller, body),
      wire: createdOAuth2Wire,
    }),
    route({
      method: 'POST',
      path: '/v1/secrets/:id/oauth2/connect',
      summary: 'Begin to connect an OAuth2 secret: gives the address where a person consents',
      permission: 'secrets:write',
      audit: 'secret.connect',
      params: secretParams,
      body: connectBody,
      response: begunResponse,
      errors: ['invalid_type', 'tenant_sealed'],
      noStore: true,
      handle: ({ caller, params, body }) =>
        secrets.oauth2.connect(caller, params.id, body.environment ?? null),
      wire: begunWire,
    }),
    route({
      method: 'GET',
      path: '/v1/secrets/:id/oauth2/token',
      summary:
        'Read the current access token, renewed first where it has ended; each time leaves an audit row',
      permission: 'secrets:read_value',
      audit: 'secret.read',
      params: secretParams,
      query: tokenQuery,
      response: oauth2TokenResponse,
      errors: ['invalid_type', 'conflict', 'token_error', 'tenant_sealed'],
      noStore: true,
      handle: async ({ caller, params, query }) =>
        oauth2TokenWire(await secrets.oauth2.token(caller, params.id, query.environment ?? null)),
    }),
  ];
}
