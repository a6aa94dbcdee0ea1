import type { z } from 'zod';
import { isoTime, isoTimeOrNull } from '../../kernel/clock.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import {
  clientCreateBody,
  clientCreatedResponse,
  clientParams,
  clientResponse,
  clientRevokedResponse,
  clientRowResponse,
  clientSecretResponse,
  clientUpdateBody,
  clientUpdatedResponse,
} from './schemas.js';
import { type OAuthClient, type OAuthClients, permissionsOfClient } from './service.js';

const STORE_NOW = 'Store the client secret now: it is not shown again.';
const SCOPELESS = 'Without allowed_scopes tokens of this client can do nothing.';
const ROTATED = `${STORE_NOW} Every token that the former secret minted is revoked.`;

/** Answers are `{data}` without `meta`, lists are not paged (auth.md §2.9). */
export function oauthClientRoutes(clients: OAuthClients): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/oauth-clients',
      summary: 'List OAuth clients, newest first',
      meta: 'none',
      permission: 'oauth-clients:read',
      audit: null,
      response: clientRowResponse.array(),
      handle: ({ caller }) => clients.list(caller.principal.scope),
      wire: (rows) => rows.map((client) => ({ ...rowOf(client), source_key_type: null })),
    }),
    route({
      method: 'GET',
      path: '/v1/oauth-clients/:id',
      summary: 'Read an OAuth client',
      meta: 'none',
      permission: 'oauth-clients:read',
      audit: null,
      params: clientParams,
      response: clientResponse,
      handle: ({ caller, params }) => clients.get(caller.principal.scope, params.id),
      wire: (client) => ({
        ...rowOf(client),
        step_up_scopes: [...client.stepUpScopes],
        consent_html_template: client.consentHtmlTemplate,
      }),
    }),
    route({
      method: 'POST',
      path: '/v1/oauth-clients',
      summary: 'Create an OAuth client; the answer alone shows its secret',
      operationId: 'createOAuthClient',
      meta: 'none',
      warning: (data) => createdWarning(data as z.input<typeof clientCreatedResponse>),
      permission: 'oauth-clients:write',
      audit: 'oauth_client.create',
      errors: ['privilege_escalation', 'conflict'],
      body: clientCreateBody,
      response: clientCreatedResponse,
      status: 201,
      noStore: true,
      handle: ({ caller, body }) => clients.create(caller, body),
      wire: ({ client, secret }): z.input<typeof clientCreatedResponse> => ({
        id: client.id,
        client_id: client.clientId,
        client_secret: secret?.reveal() ?? null,
        type: client.type,
        grant_types: [...client.grantTypes],
        allowed_scopes: [...permissionsOfClient(client)],
        redirect_uris: [...client.redirectUris],
      }),
    }),
    route({
      method: 'PATCH',
      path: '/v1/oauth-clients/:id',
      summary: 'Change what an OAuth client may do',
      meta: 'none',
      permission: 'oauth-clients:write',
      audit: 'oauth_client.update',
      errors: ['privilege_escalation', 'conflict'],
      params: clientParams,
      body: clientUpdateBody,
      response: clientUpdatedResponse,
      handle: ({ caller, params, body }) => clients.update(caller, params.id, body),
      wire: ({ id }) => ({ id }),
    }),
    route({
      method: 'POST',
      path: '/v1/oauth-clients/:id/rotate-secret',
      summary: 'Give an OAuth client a new secret and revoke what the old one minted',
      operationId: 'rotateOAuthClientSecret',
      meta: 'none',
      warning: () => ROTATED,
      permission: 'oauth-clients:write',
      audit: 'oauth_client.rotate_secret',
      errors: ['privilege_escalation', 'conflict'],
      params: clientParams,
      response: clientSecretResponse,
      noStore: true,
      handle: ({ caller, params }) => clients.rotateSecret(caller, params.id),
      wire: ({ client, secret }) => ({ client_id: client.clientId, client_secret: secret.reveal() }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/oauth-clients/:id',
      summary: 'Revoke an OAuth client and its tokens for good',
      operationId: 'revokeOAuthClient',
      meta: 'none',
      permission: 'oauth-clients:write',
      audit: 'oauth_client.revoke',
      params: clientParams,
      response: clientRevokedResponse,
      handle: ({ caller, params }) => clients.revoke(caller, params.id),
      wire: () => ({ revoked: true }),
    }),
  ];
}

function createdWarning(created: z.input<typeof clientCreatedResponse>): string | null {
  const warnings: string[] = [];
  if (created.client_secret !== null) warnings.push(STORE_NOW);
  if (created.allowed_scopes.length === 0) warnings.push(SCOPELESS);
  return warnings.length === 0 ? null : warnings.join(' ');
}

function rowOf(client: OAuthClient) {
  return {
    id: client.id,
    client_id: client.clientId,
    name: client.name,
    type: client.type,
    grant_types: [...client.grantTypes],
    allowed_scopes: [...permissionsOfClient(client)],
    redirect_uris: [...client.redirectUris],
    require_dpop: client.requireDpop,
    require_dpop_nonce: client.requireDpopNonce,
    require_pkce: true,
    token_format: 'opaque',
    refresh_grace_seconds: client.refreshGraceSeconds,
    active: client.isActive && client.revokedAtMs === null,
    revoked_at: isoTimeOrNull(client.revokedAtMs),
    created_at: isoTime(client.createdAtMs),
    last_used_at: isoTimeOrNull(client.lastUsedAtMs),
    source_api_key_id: null,
    system_role: client.systemRole,
  };
}
