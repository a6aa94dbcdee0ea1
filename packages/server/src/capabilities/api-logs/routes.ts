import { isoTime } from '../../kernel/clock.js';
import { permissionMissing } from '../../kernel/errors.js';
import type { Caller } from '../../kernel/principal.js';
import { type Feed, type RouteDefinition, route } from '../../platform/http/route.js';
import { proofResponse, toProofResponse } from './anchors/schemas.js';
import type { LogAnchors } from './anchors/service.js';
import type { LogExports } from './export/service.js';
import {
  csvText,
  logExportQuery,
  logListQuery,
  logParams,
  logResponse,
  toFilter,
  toLogResponse,
} from './schemas.js';
import type { ApiLogs } from './service.js';

const PERMISSION = 'log:list';
const IDENTITY_PERMISSION = 'log:read_identity';

export interface ApiLogRoutesDeps {
  readonly apiLogs: Pick<ApiLogs, 'list' | 'get' | 'cursorAt'>;
  readonly logAnchors: Pick<LogAnchors, 'proof'>;
  readonly logExports: LogExports;
}

export function apiLogRoutes({
  apiLogs,
  logAnchors,
  logExports,
}: ApiLogRoutesDeps): readonly RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/logs',
      summary: 'Feed of the proxied calls, oldest first',
      permission: PERMISSION,
      audit: null,
      query: logListQuery,
      response: logResponse,
      answer: 'feed',
      async handle({ caller, query }): Promise<Feed<unknown>> {
        const { scope } = caller.principal;
        const withIdentity = mayFilter(caller, query.client_id);
        const filter = toFilter(query);
        const start = filter.fromMs === undefined ? undefined : await apiLogs.cursorAt(scope, filter.fromMs);
        const page = await apiLogs.list(scope, filter, query.cursor ?? start, query.limit);
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
      path: '/v1/logs/export',
      summary: 'Download the proxied calls as CSV, oldest first',
      permission: PERMISSION,
      audit: 'log.export',
      query: logExportQuery,
      response: csvText,
      text: 'text/csv',
      noStore: true,
      errors: ['plan_feature'],
      handle({ caller, query }) {
        const withIdentity = mayFilter(caller, query.client_id);
        const { format, from, to, ...named } = query;
        const asked = { ...named, ...times({ from, to }) };
        return logExports.csv(caller, toFilter(query), asked, withIdentity);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/logs/:request_id',
      summary: 'One proxied call',
      permission: PERMISSION,
      audit: null,
      params: logParams,
      response: logResponse,
      async handle({ caller, params }) {
        const log = await apiLogs.get(caller.principal.scope, params.request_id);
        return toLogResponse(log, caller.principal.may(IDENTITY_PERMISSION));
      },
    }),
    route({
      method: 'GET',
      path: '/v1/logs/:request_id/proof',
      summary: 'Prove that the row of a proxied call is as it was anchored',
      permission: PERMISSION,
      audit: null,
      params: logParams,
      response: proofResponse,
      async handle({ caller, params }) {
        const proof = await logAnchors.proof(caller.principal.scope, params.request_id);
        return toProofResponse(proof, caller.principal.may(IDENTITY_PERMISSION));
      },
    }),
  ];
}

/** Who may not see which client called must not find it out by asking for one after the other. */
function mayFilter({ principal }: Caller, clientId: string | undefined): boolean {
  const withIdentity = principal.may(IDENTITY_PERMISSION);
  if (clientId !== undefined && !withIdentity) throw permissionMissing(IDENTITY_PERMISSION);
  return withIdentity;
}

function times(asked: Record<string, number | undefined>): Record<string, string> {
  const given = Object.entries(asked).filter((entry): entry is [string, number] => entry[1] !== undefined);
  return Object.fromEntries(given.map(([name, ms]) => [name, isoTime(ms)]));
}
