import { type RouteDefinition, route } from '../../../platform/http/route.js';
import { observationsResponse, observationsWire, reportBody, reportResponse, reportWire } from './schemas.js';
import type { Observations } from './service.js';

/** Who sees the intercept manifest reports what it does not cover: one permission (contract README §2.1). */
export function observationRoutes(wrap: { readonly observations: Observations }): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: '/v1/wrap/egress-observations',
      summary: 'Report kinds of calls with a credential that go past the proxy',
      permission: 'routes:read',
      audit: null,
      body: reportBody,
      response: reportResponse,
      handle: ({ caller, body }) => wrap.observations.report(caller, body),
      wire: reportWire,
    }),
    route({
      method: 'GET',
      path: '/v1/wrap/egress-observations',
      summary: 'List what was reported, the kind of call last seen first',
      permission: 'routes:read',
      audit: null,
      response: observationsResponse,
      handle: async ({ caller }) => observationsWire(await wrap.observations.list(caller)),
    }),
  ];
}
