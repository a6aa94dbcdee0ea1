import { permissionMissing } from '../../kernel/errors.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import { analyticsQuery, analyticsResponse, toQuery, toReportResponse } from './schemas.js';
import type { Analytics } from './service.js';

const IDENTITY_PERMISSION = 'log:read_identity';

export function analyticsRoutes(analytics: Pick<Analytics, 'report'>): readonly RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/analytics',
      summary: 'Counts and latencies of the proxied calls',
      permission: 'log:list',
      audit: null,
      query: analyticsQuery,
      response: analyticsResponse,
      errors: ['plan_feature'],
      async handle({ caller: { principal }, query }) {
        // Which client called belongs to the identity tier, as it does in the log.
        const asksIdentity = query.group_by === 'client' || query.client_id !== undefined;
        if (asksIdentity && !principal.may(IDENTITY_PERMISSION)) throw permissionMissing(IDENTITY_PERMISSION);
        return toReportResponse(await analytics.report(principal.scope, toQuery(query)), query.group_by);
      },
    }),
  ];
}
