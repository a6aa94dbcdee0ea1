import { type RouteDefinition, route } from '../../platform/http/route.js';
import {
  bindingListQuery,
  bindingParams,
  bindingResponse,
  bindingWire,
  createBindingBody,
  deletedResponse,
  updateBindingBody,
} from './schemas.js';
import type { OidcBindings } from './service.js';

export function oidcBindingRoutes(bindings: OidcBindings): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/oidc-bindings',
      summary: 'List OIDC bindings',
      permission: 'oidc-bindings:read',
      audit: null,
      query: bindingListQuery,
      response: bindingResponse,
      answer: 'page',
      async handle({ caller, query }) {
        const page = await bindings.list(caller, { ...query, perPage: query.per_page });
        return { ...page, rows: page.rows.map((binding) => bindingWire(caller.principal.scope, binding)) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/oidc-bindings',
      summary: 'Let workloads of an OpenID Connect issuer have tokens',
      permission: 'oidc-bindings:write',
      audit: 'oidc_binding.create',
      body: createBindingBody,
      response: bindingResponse,
      errors: ['conflict', 'privilege_escalation', 'ssrf_blocked'],
      status: 201,
      handle: ({ caller, body }) => bindings.create(caller, body),
      wire: (binding, { caller }) => bindingWire(caller.principal.scope, binding),
    }),
    route({
      method: 'GET',
      path: '/v1/oidc-bindings/:id',
      summary: 'Read an OIDC binding',
      permission: 'oidc-bindings:read',
      audit: null,
      params: bindingParams,
      response: bindingResponse,
      async handle({ caller, params }) {
        return bindingWire(caller.principal.scope, await bindings.get(caller, params.id));
      },
    }),
    route({
      method: 'PATCH',
      path: '/v1/oidc-bindings/:id',
      summary: 'Change an OIDC binding',
      permission: 'oidc-bindings:write',
      audit: 'oidc_binding.update',
      params: bindingParams,
      body: updateBindingBody,
      response: bindingResponse,
      errors: ['privilege_escalation', 'ssrf_blocked'],
      handle: ({ caller, params, body }) => bindings.update(caller, params.id, body),
      wire: (binding, { caller }) => bindingWire(caller.principal.scope, binding),
    }),
    route({
      method: 'DELETE',
      path: '/v1/oidc-bindings/:id',
      summary: 'Delete an OIDC binding; its tokens are good for nothing from then on',
      permission: 'oidc-bindings:write',
      audit: 'oidc_binding.delete',
      params: bindingParams,
      response: deletedResponse,
      handle: ({ caller, params }) => bindings.delete(caller, params.id),
      wire: () => ({ deleted: true }),
    }),
  ];
}
