import { type RouteDefinition, route } from '../../platform/http/route.js';
import { allowlistBody, allowlistResponse, allowlistWire } from './schemas.js';
import type { EgressAllowlist } from './service.js';

export function egressAllowlistRoutes(allowlist: EgressAllowlist): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/egress/allowlist',
      summary: 'Read which hosts calls may go to',
      permission: 'egress:read',
      audit: null,
      response: allowlistResponse,
      async handle({ caller }) {
        return allowlistWire(caller.principal.scope, await allowlist.get(caller));
      },
    }),
    route({
      method: 'PUT',
      path: '/v1/egress/allowlist',
      summary: 'Replace the list of hosts that calls may go to',
      permission: 'egress:write',
      audit: 'egress.update',
      body: allowlistBody,
      response: allowlistResponse,
      handle: ({ caller, body }) => allowlist.replace(caller, body.hosts),
      wire: (hosts, { caller }) => allowlistWire(caller.principal.scope, hosts),
    }),
  ];
}
