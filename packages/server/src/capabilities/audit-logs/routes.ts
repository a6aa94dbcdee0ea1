import { isoTime } from '../../kernel/clock.js';
import type { Principal } from '../../kernel/principal.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import { parseActionFilter } from './action-filter.js';
import { auditListQuery, auditRowResponse } from './schemas.js';
import type { AuditLogs } from './service.js';

export function auditLogRoutes(auditLogs: AuditLogs): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/audit-logs',
      summary: 'List audit rows, newest first',
      permission: 'audit_log:list',
      audit: null,
      query: auditListQuery,
      response: auditRowResponse,
      answer: 'page',
      async handle({ caller, query }) {
        const { rows, total } = await auditLogs.list(caller.principal.scope.tenantId, {
          page: query.page,
          perPage: query.per_page,
          order: query.order,
          action: query.action === undefined ? undefined : parseActionFilter(query.action),
          resourceType: query.resource_type,
          userId: query.user_id,
          sandbox: query.sandbox,
          fromMs: query.from,
          toMs: query.to,
        });
        const isRedacted = !mayReadDetails(caller.principal);
        return {
          rows: rows.map((row) => ({
            id: row.id,
            action: row.action,
            resource_type: row.resourceType,
            resource_id: row.resourceId,
            ...(isRedacted ? { details: {}, details_redacted: true } : { details: row.details }),
            ip_address: row.ipAddress,
            created_at: isoTime(row.createdAtMs),
          })),
          total,
          page: query.page,
          perPage: query.per_page,
        };
      },
    }),
  ];
}

/** Keys read sanitised details; of users only those from Admin up (auth.md §8.1). */
function mayReadDetails(principal: Principal): boolean {
  return principal.kind !== 'user' || principal.role === 'owner' || principal.role === 'admin';
}
