import { LIMITS } from '../../kernel/limits.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import {
  bulkTokenizeBody,
  bulkTokenizedResponse,
  bulkTokenizedWire,
  createVaultBody,
  deletedResponse,
  deleteVaultQuery,
  detokenizedResponse,
  detokenizedWire,
  rotateBody,
  rotatedResponse,
  tokenizeBody,
  tokenizeInputOf,
  tokenListQuery,
  tokenParams,
  tokenResponse,
  tokenRowResponse,
  tokenRowWire,
  tokenWire,
  updatedResponse,
  updateTokenBody,
  updateVaultBody,
  vaultListQuery,
  vaultParams,
  vaultResponse,
  vaultWire,
  vaultWithStatsResponse,
  vaultWithStatsWire,
} from './schemas.js';
import type { Vaults } from './service.js';

export function vaultRoutes(vaults: Vaults): RouteDefinition[] {
  return [...recordRoutes(vaults), ...tokenRoutes(vaults)];
}

function recordRoutes(vaults: Vaults): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/vaults',
      summary: 'List vaults',
      permission: 'vaults:read',
      audit: null,
      query: vaultListQuery,
      response: vaultResponse,
      answer: 'page',
      async handle({ caller, query }) {
        const page = await vaults.list(caller, { ...query, perPage: query.per_page });
        return { ...page, rows: page.rows.map((vault) => vaultWire(caller.principal.scope, vault)) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/vaults',
      summary: 'Create a vault with a key of its own',
      permission: 'vaults:write',
      audit: 'vault.create',
      body: createVaultBody,
      response: vaultResponse,
      status: 201,
      errors: ['conflict', 'tenant_sealed'],
      handle: ({ caller, body }) =>
        vaults.create(caller, {
          name: body.name,
          tokenFormat: body.token_format,
          custodyMode: body.custody_mode,
          description: body.description,
          metadata: body.metadata_jsonb,
          echoGuard: body.echo_guard,
          defaultTtlSeconds: body.default_ttl_seconds,
        }),
      wire: (vault, { caller }) => vaultWire(caller.principal.scope, vault),
    }),
    route({
      method: 'GET',
      path: '/v1/vaults/:nameOrId',
      summary: 'Read a vault and its counts',
      permission: 'vaults:read',
      audit: null,
      params: vaultParams,
      response: vaultWithStatsResponse,
      async handle({ caller, params }) {
        return vaultWithStatsWire(caller.principal.scope, await vaults.get(caller, params.nameOrId));
      },
    }),
    route({
      method: 'PATCH',
      path: '/v1/vaults/:nameOrId',
      summary: 'Change a vault',
      permission: 'vaults:write',
      audit: 'vault.update',
      params: vaultParams,
      body: updateVaultBody,
      response: vaultResponse,
      handle: ({ caller, params, body }) => vaults.update(caller, params.nameOrId, body),
      wire: (vault, { caller }) => vaultWire(caller.principal.scope, vault),
    }),
    route({
      method: 'POST',
      path: '/v1/vaults/:nameOrId/rotate',
      summary: 'Encrypt new tokens under a new version of the key',
      permission: 'vaults:write',
      audit: 'vault.rotate',
      params: vaultParams,
      body: rotateBody,
      response: rotatedResponse,
      errors: ['tenant_sealed'],
      handle: ({ caller, params }) => vaults.rotate(caller, params.nameOrId),
      wire: (version) => ({ new_version: version }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/vaults/:nameOrId',
      summary: 'Delete a vault and destroy its key',
      permission: 'vaults:write',
      audit: 'vault.delete',
      params: vaultParams,
      query: deleteVaultQuery,
      response: deletedResponse,
      errors: ['conflict'],
      handle: ({ caller, params, query }) => vaults.delete(caller, params.nameOrId, query),
      wire: () => ({ deleted: true }),
    }),
  ];
}

function tokenRoutes(vaults: Vaults): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: '/v1/vaults/:nameOrId/tokens',
      summary: 'Tokenize a value',
      operationId: 'tokenize',
      permission: 'vaults:tokenize',
      audit: 'vault.tokenize',
      params: vaultParams,
      body: tokenizeBody,
      response: tokenResponse,
      status: 201,
      errors: ['vault_disabled', 'token_space_exhausted', 'tenant_sealed'],
      bodyBytesMax: LIMITS.tokenizeBodyBytesMax,
      noStore: true,
      handle: ({ caller, params, body }) => vaults.tokenize(caller, params.nameOrId, tokenizeInputOf(body)),
      wire: tokenWire,
    }),
    route({
      method: 'POST',
      path: '/v1/vaults/:nameOrId/tokens/bulk',
      summary: 'Tokenize several values, all or none of them',
      operationId: 'tokenizeBulk',
      permission: 'vaults:tokenize',
      audit: 'vault.tokenize',
      params: vaultParams,
      body: bulkTokenizeBody,
      response: bulkTokenizedResponse,
      status: 201,
      errors: ['vault_disabled', 'token_space_exhausted', 'tenant_sealed'],
      bodyBytesMax: LIMITS.bulkTokenizeBodyBytesMax,
      noStore: true,
      handle: ({ caller, params, body }) =>
        vaults.tokenizeBulk(caller, params.nameOrId, body.values.map(tokenizeInputOf)),
      wire: bulkTokenizedWire,
    }),
    route({
      method: 'GET',
      path: '/v1/vaults/:nameOrId/tokens',
      summary: 'List tokens, never their values',
      permission: 'vaults:read',
      audit: null,
      params: vaultParams,
      query: tokenListQuery,
      response: tokenRowResponse,
      answer: 'page',
      async handle({ caller, params, query }) {
        const page = await vaults.listTokens(caller, params.nameOrId, { ...query, perPage: query.per_page });
        return { ...page, rows: page.rows.map(tokenRowWire) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/vaults/:nameOrId/tokens/:idOrToken',
      summary: 'Detokenize: read the value of a token',
      operationId: 'detokenize',
      permission: 'vaults:detokenize',
      audit: 'vault.detokenize',
      params: tokenParams,
      response: detokenizedResponse,
      errors: ['vault_disabled', 'token_erased', 'tenant_sealed'],
      noStore: true,
      async handle({ caller, params }) {
        return detokenizedWire(await vaults.detokenize(caller, params.nameOrId, params.idOrToken));
      },
    }),
    route({
      method: 'PATCH',
      path: '/v1/vaults/:nameOrId/tokens/:idOrToken',
      summary: 'Change the metadata of a token',
      permission: 'vaults:write',
      audit: 'vault.token.update',
      params: tokenParams,
      body: updateTokenBody,
      response: updatedResponse,
      errors: ['conflict'],
      handle: ({ caller, params, body }) =>
        vaults.setTokenMetadata(caller, params.nameOrId, params.idOrToken, body.metadata),
      wire: () => ({ updated: true }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/vaults/:nameOrId/tokens/:idOrToken',
      summary: 'Delete a token and its value',
      permission: 'vaults:write',
      audit: 'vault.token.delete',
      params: tokenParams,
      response: deletedResponse,
      errors: ['conflict'],
      handle: ({ caller, params }) => vaults.deleteToken(caller, params.nameOrId, params.idOrToken),
      wire: () => ({ deleted: true }),
    }),
  ];
}
