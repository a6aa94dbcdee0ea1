import { type RouteDefinition, route } from '../../platform/http/route.js';
import { roleListQuery, roleResponse, roleWire } from './schemas.js';
import type { Permissions } from './service.js';

export function roleRoutes(permissions: Permissions): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/roles',
      summary: 'List the roles of keys and users',
      permission: 'roles:read',
      audit: null,
      query: roleListQuery,
      response: roleResponse,
      answer: 'page',
      async handle({ caller, query }) {
        const { page, per_page: perPage, order, subject_kind: subjectKind = null } = query;
        const { tenantId } = caller.principal.scope;
        const { rows, total } = await permissions.listRoles(tenantId, { page, perPage, order, subjectKind });
        return { rows: rows.map(roleWire), total, page, perPage };
      },
    }),
  ];
}
