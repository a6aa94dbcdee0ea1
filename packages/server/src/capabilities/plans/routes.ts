import { isoTime, isoTimeOrNull } from '../../kernel/clock.js';
import type { TenantId } from '../../kernel/ids.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import type { Tenant } from '../accounts/index.js';
import { accountResponse, tenantChangeBody, tenantParams, tenantResponse, usageResponse } from './schemas.js';
import type { Account, Plans, Usage } from './service.js';
import type { TenantSwitch } from './tenant-switch.js';

/** What is counted elsewhere: each of a tenant's live rows. */
export interface ResourceCounts {
  readonly namedRoutes: { readonly records: LiveCount };
  readonly clients: LiveCount;
  readonly environments: LiveCount;
  readonly secrets: LiveCount;
}

interface LiveCount {
  countLive(tenantId: TenantId): Promise<number>;
}

interface Counts {
  readonly routes: number;
  readonly clients: number;
  readonly environments: number;
  readonly secrets: number;
}

export function accountRoutes(
  plans: Pick<Plans, 'account' | 'usage'>,
  counts: ResourceCounts,
): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/account',
      summary: 'Read the account that the credential belongs to',
      permission: null,
      servesInactive: true,
      audit: null,
      response: accountResponse,
      handle: async ({ caller }) => accountOf(await plans.account(caller.principal.scope.tenantId)),
    }),
    route({
      method: 'GET',
      path: '/v1/account/usage',
      summary: 'Read what this month has used, and the limits of the plan',
      permission: 'account:read',
      servesInactive: true,
      audit: null,
      response: usageResponse,
      async handle({ caller }) {
        const { tenantId } = caller.principal.scope;
        const [usage, routes, clients, environments, secrets] = await Promise.all([
          plans.usage(tenantId),
          counts.namedRoutes.records.countLive(tenantId),
          counts.clients.countLive(tenantId),
          counts.environments.countLive(tenantId),
          counts.secrets.countLive(tenantId),
        ]);
        return usageOf(usage, { routes, clients, environments, secrets });
      },
    }),
  ];
}

/** For the mount at `/admin` alone. */
export function tenantSwitchRoutes(tenants: Pick<TenantSwitch, 'change'>): RouteDefinition[] {
  return [
    route({
      method: 'PATCH',
      path: '/admin/tenants/:id',
      summary: 'Change name, slug or ephemeral calls; as the operator plan and subscription status',
      permission: null,
      servesInactive: true,
      audit: 'tenant.update, tenant.slug_change',
      errors: ['forbidden', 'conflict'],
      params: tenantParams,
      body: tenantChangeBody,
      response: tenantResponse,
      wire: tenantOf,
      handle({ caller, params, body }) {
        const { name, slug, plan } = body;
        const { ephemeral_enabled: ephemeralEnabled, subscription_status: subscriptionStatus } = body;
        const id = params.id.toLowerCase() as TenantId;
        return tenants.change(caller, id, { name, slug, ephemeralEnabled, plan, subscriptionStatus });
      },
    }),
  ];
}

function accountOf({ tenant, plan, status, dates, period }: Account) {
  return {
    id: tenant.id,
    slug: tenant.slug,
    name: tenant.name,
    region: tenant.region,
    subscription_plan: plan,
    subscription_status: status,
    trial_start_at: isoTimeOrNull(dates.trialStartAtMs),
    trial_end_at: isoTimeOrNull(dates.trialEndAtMs),
    subscription_current_period_start: isoTime(period.startMs),
    subscription_current_period_end: isoTime(period.endMs),
    subscription_cancel_at: isoTimeOrNull(dates.cancelledAtMs),
    created_at: isoTime(tenant.createdAtMs),
  };
}

function usageOf({ plan, status, period, operations, caps }: Usage, used: Counts) {
  return {
    billing_period: {
      year: period.year,
      month: period.month,
      start: isoTime(period.startMs),
      end: isoTime(period.endMs),
    },
    api_calls: { ...operations, percentage: percentage(operations) },
    resources: {
      routes: { used: used.routes, limit: caps.routes },
      secrets: { used: used.secrets, limit: caps.secrets },
      clients: { used: used.clients, limit: caps.clients },
      environments: { used: used.environments, limit: caps.environments },
    },
    plan,
    status,
  };
}

/** Two decimals (auth.md §7); of no limit nothing is used, of a limit of 0 all. */
function percentage({ used, limit }: Usage['operations']): number {
  if (limit === null || used === 0) return 0;
  return limit === 0 ? 100 : Math.round((used / limit) * 10_000) / 100;
}

function tenantOf(tenant: Tenant) {
  return {
    id: tenant.id,
    slug: tenant.slug,
    name: tenant.name,
    plan: tenant.plan,
    subscription_status: tenant.subscriptionStatus,
    ephemeral_enabled: tenant.ephemeralEnabled,
    created_at: isoTime(tenant.createdAtMs),
  };
}
