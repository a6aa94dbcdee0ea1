import type { TenantId } from '../../kernel/ids.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import {
  deleteTenantBody,
  newTenantBody,
  tenantDeletedResponse,
  tenantParams,
  tenantResponse,
  tenantsResponse,
  tenantWire,
} from './schemas.js';
import type { Tenants } from './service.js';

const DELETE_STEP_UP_SECONDS = 120;

export function tenantRoutes(tenants: Tenants): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/admin/tenants',
      summary: 'List the tenants of the signed-in user',
      access: 'session',
      permission: null,
      audit: null,
      response: tenantsResponse,
      handle: async ({ caller }) => (await tenants.list(caller)).map(tenantWire),
    }),
    route({
      method: 'POST',
      path: '/admin/tenants',
      summary: 'Make a tenant, of which the caller is the Owner',
      access: 'session',
      permission: null,
      audit: 'tenant.create',
      errors: ['forbidden', 'conflict', 'rate_limit_exceeded', 'tenant_sealed'],
      status: 201,
      body: newTenantBody,
      response: tenantResponse,
      async handle({ caller, body }) {
        const { name, slug, ephemeral_enabled: ephemeralEnabled } = body;
        return tenantWire(await tenants.create(caller, { name, slug, ephemeralEnabled }));
      },
    }),
    route({
      method: 'GET',
      path: '/admin/tenants/:id',
      summary: 'Read a tenant of the signed-in user; as the operator any',
      access: 'session',
      permission: null,
      audit: null,
      params: tenantParams,
      response: tenantResponse,
      handle: async ({ caller, params }) => tenantWire(await tenants.get(caller, idOf(params))),
    }),
    route({
      method: 'DELETE',
      path: '/admin/tenants/:id',
      summary: 'Delete a tenant with all that it holds, as its Owner',
      access: 'session',
      permission: null,
      stepUp: { maxAgeSeconds: DELETE_STEP_UP_SECONDS, isConsumed: true },
      audit: 'tenant.delete',
      errors: ['forbidden', 'conflict'],
      params: tenantParams,
      body: deleteTenantBody,
      response: tenantDeletedResponse,
      async handle({ caller, params, body }) {
        await tenants.delete(caller, idOf(params), body.slug);
        return { deleted: true };
      },
    }),
  ];
}

function idOf({ id }: { readonly id: string }): TenantId {
  return id.toLowerCase() as TenantId;
}
