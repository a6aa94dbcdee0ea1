import { type RouteDefinition, route } from '../../platform/http/route.js';
import { parseActionFilter } from './action-filter.js';
import { encodeCursor } from './chain/cursor.js';
import type { AuditChain } from './chain/service.js';
import { mayReadDetails } from './details.js';
import {
  auditEventResponse,
  auditEventsQuery,
  auditListQuery,
  auditRowResponse,
  auditVerifyQuery,
  auditVerifyResponse,
  toRowResponse,
  toVerifyResponse,
} from './schemas.js';
import type { AuditLogs } from './service.js';

const PERMISSION = 'audit_log:list';

export function auditLogRoutes(
  auditLogs: Pick<AuditLogs, 'list'>,
  chain: Pick<AuditChain, 'events' | 'verify'>,
): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/audit-logs',
      summary: 'List audit rows, newest first',
      permission: PERMISSION,
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
        return {
          rows: rows.map((row) => toRowResponse(row, caller.principal)),
          total,
          page: query.page,
          perPage: query.per_page,
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/audit-logs/events',
      summary: 'Feed of the sealed audit rows, oldest first',
      permission: PERMISSION,
      audit: null,
      query: auditEventsQuery,
      response: auditEventResponse,
      answer: 'feed',
      async handle({ caller: { principal }, query }) {
        const filter = {
          action: query.action === undefined ? undefined : parseActionFilter(query.action),
          actionPrefix: query.action_prefix,
          resourceType: query.resource_type,
        };
        const page = await chain.events(principal.scope.tenantId, filter, query.cursor, query.limit);
        return {
          rows: page.rows.map((row) => ({
            ...toRowResponse(row, principal),
            sequence_number: String(row.sequenceNumber),
            cursor: encodeCursor(row.sequenceNumber),
          })),
          nextCursor: page.nextCursor,
          limit: query.limit,
          dedupeOn: 'id',
          watermarkSeconds: page.watermarkSeconds,
          ...(mayReadDetails(principal) ? {} : { redacted: ['details'] }),
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/audit-logs/chain/verify',
      summary: 'Verify the audit chain, or a stretch of it',
      permission: PERMISSION,
      audit: null,
      query: auditVerifyQuery,
      response: auditVerifyResponse,
      async handle({ caller, query }) {
        return toVerifyResponse(await chain.verify(caller.principal.scope.tenantId, query));
      },
    }),
  ];
}
