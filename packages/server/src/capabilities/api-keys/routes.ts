import { isoTime, isoTimeOrNull } from '../../kernel/clock.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import {
  keyCreateBody,
  keyCreatedResponse,
  keyListQuery,
  keyParams,
  keyRevokedResponse,
  keyRowResponse,
} from './schemas.js';
import type { ApiKey, ApiKeys, CreatedApiKey } from './service.js';

export function apiKeyRoutes(apiKeys: ApiKeys): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/api-keys',
      summary: 'List API keys of this mode',
      permission: 'api-keys:read',
      audit: null,
      query: keyListQuery,
      response: keyRowResponse,
      answer: 'page',
      async handle({ caller, query }) {
        const { page, per_page: perPage, order } = query;
        const { rows, total } = await apiKeys.list(caller.principal.scope, { page, perPage, order });
        return { rows: rows.map(rowOf), total, page, perPage };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/api-keys',
      summary: 'Create an API key; the answer alone shows it',
      permission: 'api-keys:write',
      audit: 'api_key.create',
      body: keyCreateBody,
      response: keyCreatedResponse,
      status: 201,
      noStore: true,
      handle: ({ caller, body }) => apiKeys.create(caller, body.name),
      wire: createdOf,
    }),
    route({
      method: 'DELETE',
      path: '/v1/api-keys/:id',
      summary: 'Revoke an API key for good, by row id or key id',
      permission: 'api-keys:write',
      audit: 'api_key.revoke',
      params: keyParams,
      response: keyRevokedResponse,
      handle: ({ caller, params }) => apiKeys.revoke(caller, params.id),
      wire: () => ({ revoked: true }),
    }),
  ];
}

function rowOf(key: ApiKey) {
  return {
    id: key.id,
    key_id: key.keyId,
    key_prefix: key.prefix,
    key_type: key.type,
    name: key.name,
    active: key.revokedAtMs === null,
    created_at: isoTime(key.createdAtMs),
    last_used_at: isoTimeOrNull(key.lastUsedAtMs),
    rate_limit_requests: null,
    rate_limit_window_sec: null,
  };
}

function createdOf(key: CreatedApiKey) {
  return {
    id: key.id,
    key_id: key.keyId,
    api_key: key.apiKey.reveal(),
    key_prefix: key.prefix,
    key_type: key.type,
    name: key.name,
    role_ids: [],
    message: 'Store this key now: it is not shown again.',
  };
}
