import type { Caller } from '../../../kernel/principal.js';
import { type RouteDefinition, route } from '../../../platform/http/route.js';
import type { Clouds } from '../providers/index.js';
import {
  deletedResponse,
  onboardBody,
  onboardedWire,
  onboardResponse,
  rotateResponse,
  setupQuery,
  setupResponse,
  setupWire,
  tenantKmsResponse,
  tenantKmsWire,
  testResponse,
  unsealResponse,
} from './schemas.js';
import type { TenantKms } from './service.js';
import { setupFor } from './setup.js';
import { createUnderWayLimit } from './under-way.js';

const ROTATE_MAX_AGE_SECONDS = 300;
const DESTRUCTIVE_MAX_AGE_SECONDS = 120;

export function tenantKmsRoutes(
  tenantKms: TenantKms,
  clouds: Pick<Clouds, 'ownIdentity'>,
): RouteDefinition[] {
  const underWay = createUnderWayLimit();
  const withinLimit = <T>({ principal }: Caller, act: () => Promise<T>) =>
    underWay(principal.scope.tenantId, act);
  return [
    route({
      method: 'POST',
      path: '/admin/tenant-kms',
      admin: 'bare',
      worksSealed: true,
      summary: 'Have a key in your own cloud wrap the master keys of the tenant',
      permission: 'tenant-kms:write',
      audit: 'byok.kms.onboard',
      body: onboardBody,
      response: onboardResponse,
      errors: ['static_credentials_rejected', 'kms_verify_failed', 'conflict'],
      handle: ({ caller, body }) => withinLimit(caller, () => tenantKms.onboard(caller, body)),
      wire: (onboarded) => onboardedWire(onboarded),
    }),
    route({
      method: 'GET',
      path: '/admin/tenant-kms',
      admin: 'bare',
      summary: 'Read the KMS of the tenant, its state and the versions of the master key',
      permission: 'tenant-kms:read',
      audit: null,
      response: tenantKmsResponse,
      errors: ['no_kms_config'],
      async handle({ caller }) {
        const { config, keys } = await tenantKms.get(caller);
        return tenantKmsWire(config, keys);
      },
    }),
    route({
      method: 'DELETE',
      path: '/admin/tenant-kms',
      admin: 'bare',
      summary: 'Give up the KMS of the tenant: a new master key under the default wrapping, then a rewrap',
      permission: 'tenant-kms:write',
      stepUp: { maxAgeSeconds: DESTRUCTIVE_MAX_AGE_SECONDS, isConsumed: true },
      audit: 'byok.kms.delete',
      response: deletedResponse,
      errors: ['no_kms_config', 'kms_wrap_failed', 'tenant_sealed'],
      handle: ({ caller }) => withinLimit(caller, () => tenantKms.delete(caller)),
      wire: () => ({ deleted: true }),
    }),
    route({
      method: 'POST',
      path: '/admin/tenant-kms/rotate',
      admin: 'bare',
      summary: 'Make a new version of the master key the active one',
      permission: 'tenant-kms:write',
      stepUp: { maxAgeSeconds: ROTATE_MAX_AGE_SECONDS },
      audit: 'byok.kms.rotate',
      response: rotateResponse,
      errors: ['no_kms_config', 'kms_wrap_failed', 'tenant_sealed'],
      handle: ({ caller }) => withinLimit(caller, () => tenantKms.rotate(caller)),
      wire: ({ version, leaseId }) => ({ rotated: true, new_version: version, rewrap_lease_id: leaseId }),
    }),
    route({
      method: 'POST',
      path: '/admin/tenant-kms/unseal',
      admin: 'bare',
      worksSealed: true,
      summary: 'Ask the KMS of a sealed tenant again at once',
      permission: 'tenant-kms:write',
      stepUp: { maxAgeSeconds: DESTRUCTIVE_MAX_AGE_SECONDS },
      audit: 'byok.kms.unseal',
      response: unsealResponse,
      errors: ['no_kms_config', 'not_sealed', 'unseal_failed'],
      handle: ({ caller }) => withinLimit(caller, () => tenantKms.unseal(caller)),
      wire: () => ({ unsealed: true }),
    }),
    route({
      method: 'POST',
      path: '/admin/tenant-kms/test',
      admin: 'bare',
      summary: 'Wrap and unwrap 32 random bytes with the KMS of the tenant',
      permission: 'tenant-kms:write',
      audit: null,
      response: testResponse,
      errors: ['no_kms_config', 'kms_verify_failed'],
      async handle({ caller }) {
        const { latencyMs } = await withinLimit(caller, () => tenantKms.test(caller));
        return { ok: true, latency_ms: latencyMs };
      },
    }),
    route({
      method: 'GET',
      path: '/admin/tenant-kms/setup',
      admin: 'bare',
      summary: 'Read what to grant this server in your cloud, ready to paste',
      permission: 'tenant-kms:read',
      audit: null,
      query: setupQuery,
      response: setupResponse,
      async handle({ caller, query }) {
        const { scope, tenantSlug } = caller.principal;
        const tenant = { id: scope.tenantId, slug: tenantSlug };
        return setupWire(await withinLimit(caller, () => setupFor(clouds, query.provider, tenant)));
      },
    }),
  ];
}
