import { type RouteDefinition, route } from '../../../platform/http/route.js';
import { revokeBody, revokedResponse, versionParams } from './schemas.js';
import type { Revocations } from './service.js';

const STEP_UP_MAX_AGE_SECONDS = 120;

export function revocationRoutes(revocations: Revocations): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: '/admin/tenant-kms/keys/:version/revoke',
      admin: 'bare',
      summary: 'Revoke a version of the master key: what it alone opens can never be read again',
      permission: 'tenant-kms:write',
      stepUp: { maxAgeSeconds: STEP_UP_MAX_AGE_SECONDS, isConsumed: true },
      audit: 'byok.kms.revoke',
      params: versionParams,
      body: revokeBody,
      response: revokedResponse,
      status: 200,
      errors: ['version_active', 'version_in_use'],
      handle: ({ caller, params, body }) => revocations.revoke(caller, params.version, body),
      wire: (version) => ({ revoked: true, version }),
    }),
  ];
}
