import type { z } from 'zod';
import { isoTime, isoTimeOrNull } from '../../kernel/clock.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import {
  adminKeyCreateBody,
  keyCreateBody,
  keyCreatedResponse,
  keyListQuery,
  keyParams,
  keyRevokedResponse,
  keyRowResponse,
} from './schemas.js';
import type { ApiKey, ApiKeys, CreatedApiKey, ListedApiKey, WithScopes } from './service.js';

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
      admin: 'none',
      summary: 'Create an API key; the answer alone shows it',
      permission: 'api-keys:write',
      audit: 'api_key.create',
      errors: ['privilege_escalation'],
      body: keyCreateBody,
      response: keyCreatedResponse,
      status: 201,
      noStore: true,
      handle: ({ caller, body }) => apiKeys.create(caller, body),
      wire: createdOf,
    }),
    // For signed-in users, with more in its body: here alone an access key can be asked for (auth.md §1.3).
    route({
      method: 'POST',
      path: '/admin/api-keys',
      summary: 'Create an API key or, in live mode, an access key with scopes and an expiry',
      permission: 'api-keys:write',
      audit: 'api_key.create',
      errors: ['plan_feature', 'privilege_escalation'],
      body: adminKeyCreateBody,
      response: keyCreatedResponse,
      status: 201,
      noStore: true,
      handle: ({ caller, body }) => apiKeys.create(caller, body),
      wire: createdOf,
    }),
    route({
      method: 'DELETE',
      path: '/v1/api-keys/:id',
      summary: 'Revoke an API key for good, by row id or key id',
      operationId: 'revokeApiKey',
      permission: 'api-keys:write',
      audit: 'api_key.revoke',
      params: keyParams,
      response: keyRevokedResponse,
      handle: ({ caller, params }) => apiKeys.revoke(caller, params.id),
      wire: () => ({ revoked: true }),
    }),
  ];
}

function rowOf(key: ListedApiKey): z.input<typeof keyRowResponse> {
  return {
    id: key.id,
    key_id: key.keyId,
    key_prefix: key.prefix,
    key_type: key.type,
    name: key.name,
    active: key.isActive,
    created_at: isoTime(key.createdAtMs),
    last_used_at: isoTimeOrNull(key.lastUsedAtMs),
    rate_limit_requests: key.rateLimit?.requests ?? null,
    rate_limit_window_sec: key.rateLimit?.windowSeconds ?? null,
    ...accessKeyWire(key),
  };
}

function createdOf(key: WithScopes<CreatedApiKey>): z.input<typeof keyCreatedResponse> {
  return {
    id: key.id,
    key_id: key.keyId,
    api_key: key.apiKey.reveal(),
    key_prefix: key.prefix,
    key_type: key.type,
    name: key.name,
    role_ids: key.access.full ? [] : [...key.access.roleIds],
    message: 'Store this key now: it is not shown again.',
    ...accessKeyWire(key),
  };
}

function accessKeyWire({ scopes, expiresAtMs }: WithScopes<Pick<ApiKey, 'expiresAtMs'>>) {
  if (scopes === null && expiresAtMs === null) return {};
  return { ...(scopes && { scopes: [...scopes] }), expires_at: isoTimeOrNull(expiresAtMs) };
}
