import { type RouteDefinition, route } from '../../../platform/http/route.js';
import { noRewrap } from '../errors.js';
import { rewrapResponse, rewrapWire } from './schemas.js';
import type { Rewraps } from './service.js';

export function rewrapRoutes(rewraps: Pick<Rewraps, 'progress'>): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/admin/tenant-kms/rewrap',
      admin: 'bare',
      summary: 'Read how far everything stored has come under the newest master key',
      permission: 'tenant-kms:read',
      audit: null,
      response: rewrapResponse,
      errors: ['no_rewrap'],
      async handle({ caller }) {
        const progress = await rewraps.progress(caller.principal.scope.tenantId);
        if (!progress) throw noRewrap();
        return rewrapWire(progress);
      },
    }),
  ];
}
