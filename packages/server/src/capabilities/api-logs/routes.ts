import { type Feed, type RouteDefinition, route } from '../../platform/http/route.js';
import { logListQuery, logParams, logResponse, toLogResponse } from './schemas.js';
import type { ApiLogs } from './service.js';

const IDENTITY_PERMISSION = 'log:read_identity';

export function apiLogRoutes(logs: Pick<ApiLogs, 'list' | 'get'>): readonly RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/logs',
      summary: 'Feed of the proxied calls, oldest first',
      permission: 'log:list',
      audit: null,
      query: logListQuery,
      response: logResponse,
      answer: 'feed',
      async handle({ caller, query }): Promise<Feed<unknown>> {
        const withIdentity = caller.principal.may(IDENTITY_PERMISSION);
        const filter = {
          routeId: query.route_id,
          statusCode: query.status_code,
          proxyMode: query.proxy_mode,
          environment: query.environment,
          method: query.method,
          fromMs: query.from,
          toMs: query.to,
        };
        const page = await logs.list(caller.principal.scope, filter, query.cursor, query.limit);
        return {
          rows: page.rows.map((log) => toLogResponse(log, withIdentity)),
          nextCursor: page.nextCursor,
          limit: query.limit,
          dedupeOn: 'request_id',
          watermarkSeconds: page.watermarkSeconds,
          ...(withIdentity ? {} : { redacted: ['identity'] }),
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/logs/:request_id',
      summary: 'One proxied call',
      permission: 'log:list',
      audit: null,
      params: logParams,
      response: logResponse,
      async handle({ caller, params }) {
        const log = await logs.get(caller.principal.scope, params.request_id);
        return toLogResponse(log, caller.principal.may(IDENTITY_PERMISSION));
      },
    }),
  ];
}
