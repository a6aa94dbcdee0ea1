import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { PLANS } from '../../kernel/plan-tiers.js';
import { USER_ROLES } from '../../kernel/principal.js';
import { instantText } from '../../platform/http/pagination.js';
import { SUBSCRIPTION_STATUSES } from '../accounts/index.js';
import type { TenantView } from './service.js';

const slug = z.string().min(1).max(63).describe('One DNS label: its name in host names.');

export const tenantParams = z.object({ id: z.string().min(1).max(64) });

export const newTenantBody = z.object({
  name: z.string().trim().min(1).max(LIMITS.nameCharactersMax),
  slug,
  ephemeral_enabled: z.boolean().nullable().default(null).describe('Null: by plan.'),
});

export const deleteTenantBody = z.object({ slug: slug.describe('Of the tenant, typed by who deletes it.') });

export const tenantResponse = z.object({
  id: z.string(),
  slug: z.string(),
  name: z.string(),
  plan: z.enum(PLANS),
  subscription_status: z.enum(SUBSCRIPTION_STATUSES),
  ephemeral_enabled: z.boolean().nullable(),
  role: z
    .enum(USER_ROLES)
    .nullable()
    .describe('Of the caller; null for an operator who does not belong to it.'),
  created_at: instantText,
});

export const tenantsResponse = z.array(tenantResponse);

export const tenantDeletedResponse = z.object({ deleted: z.literal(true) });

export function tenantWire({ tenant, role }: TenantView): z.input<typeof tenantResponse> {
  return {
    id: tenant.id,
    slug: tenant.slug,
    name: tenant.name,
    plan: tenant.plan,
    subscription_status: tenant.subscriptionStatus,
    ephemeral_enabled: tenant.ephemeralEnabled,
    role,
    created_at: isoTime(tenant.createdAtMs),
  };
}
