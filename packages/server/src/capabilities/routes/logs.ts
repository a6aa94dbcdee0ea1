import type { Caller } from '../../kernel/principal.js';
import type { PageOptions } from '../../platform/http/pagination.js';
import type { Page } from '../../platform/http/route.js';
import type { ApiLog, ApiLogs } from '../api-logs/index.js';
import type { RouteReading } from './aggregate.js';

/** The calls of a route, the newest first (dataplane.md §5.1). */
export interface RouteLogs {
  list(caller: Caller, route: string, page: Omit<PageOptions, 'order'>): Promise<Page<ApiLog>>;
}

export interface RouteLogsDeps {
  readonly reading: RouteReading;
  readonly apiLogs: Pick<ApiLogs, 'ofRoute'>;
}

export function createRouteLogs({ reading, apiLogs }: RouteLogsDeps): RouteLogs {
  return {
    async list({ principal: { scope } }, reference, { page, perPage }) {
      const { id } = await reading.find(scope, reference);
      return { ...(await apiLogs.ofRoute(scope, id, { page, perPage })), page, perPage };
    },
  };
}
