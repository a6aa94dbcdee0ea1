import type { Clock } from '../../kernel/clock.js';
import { notFound } from '../../kernel/errors.js';
import type { TenantId } from '../../kernel/ids.js';
import { type Actor, actorOf, type Caller } from '../../kernel/principal.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Database } from '../../platform/storage/database.js';
import { type Accounts, systemActor, type Tenant, type TenantChange } from '../accounts/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { namesAreTheirs, operatorOnly, tenantWriteMissing } from './errors.js';
import { createPlansStore } from './store.js';
import { datesAfter } from './subscription.js';

export interface TenantSwitchDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly accounts: Pick<Accounts, 'changeTenant' | 'isOperator' | 'tenantById' | 'tenantBySlug'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
}

/** What is changed of a tenant as a whole: its names, its ephemeral calls, and from outside its plan (auth.md §7). */
export interface TenantSwitch {
  /**
   * The operator switches any tenant; its names are its own Owners' and Admins', who also have the ephemeral switch.
   * Another tenant is 404 to everybody else.
   */
  change(caller: Caller, tenantId: TenantId, change: TenantChange): Promise<Tenant>;
  /** For who may run commands on the server. */
  changeBySlug(slug: string, change: TenantChange): Promise<Tenant>;
}

export function createTenantSwitch({ db, clock, accounts, auditLogs }: TenantSwitchDeps): TenantSwitch {
  const store = createPlansStore(db);

  function write(actor: Actor, tenantId: TenantId, change: TenantChange, caller?: Caller): Promise<Tenant> {
    return db.transaction(async (tx) => {
      const former = await accounts.tenantById(tenantId, tx);
      const tenant = await accounts.changeTenant(tx, tenantId, change);
      if (!former || !tenant) throw notFound('Tenant');
      const { name, plan, subscriptionStatus, ephemeralEnabled } = change;
      if (subscriptionStatus !== undefined) {
        const dates = await store.subscriptionDates(tenantId, tx);
        await store.setSubscriptionDates(tx, tenantId, datesAfter(dates, subscriptionStatus, clock.nowMs()));
      }
      const entry = { resourceType: 'tenant', resourceId: tenantId };
      if (tenant.slug !== former.slug)
        await auditLogs.record(tx, actor, {
          ...entry,
          action: 'tenant.slug_change',
          details: { from: former.slug, to: tenant.slug },
        });
      const { slug: _, ...others } = change;
      const isMore = Object.values(others).some((value) => value !== undefined);
      if (isMore || tenant.slug === former.slug)
        await auditLogs.record(tx, actor, {
          ...entry,
          action: 'tenant.update',
          details: {
            ...(name === undefined ? {} : { name }),
            ...(plan === undefined ? {} : { plan }),
            ...(subscriptionStatus === undefined ? {} : { subscription_status: subscriptionStatus }),
            ...(ephemeralEnabled === undefined ? {} : { ephemeral_enabled: ephemeralEnabled }),
          },
        });
      if (caller) await recordAnswer(tx, caller, tenant);
      return tenant;
    });
  }

  return {
    async change(caller, tenantId, change) {
      const { principal } = caller;
      const isOperator = principal.userId !== null && (await accounts.isOperator(principal.userId));
      if (!isOperator) {
        if (principal.scope.tenantId !== tenantId) throw notFound('Tenant');
        if (!principal.may('tenant:write')) throw tenantWriteMissing();
        const others = operatorFields(change);
        if (others.length > 0) throw operatorOnly(others);
      } else if (namesOf(change)) {
        if (principal.scope.tenantId !== tenantId) throw namesAreTheirs();
        if (!principal.may('tenant:write')) throw tenantWriteMissing();
      }
      // The row stands in the tenant that is changed, whose own people must see it.
      return write({ ...actorOf(caller), scope: { tenantId, sandbox: false } }, tenantId, change, caller);
    },

    async changeBySlug(slug, change) {
      const tenant = await accounts.tenantBySlug(slug);
      if (!tenant) throw notFound('Tenant');
      return write(systemActor(tenant.id), tenant.id, change);
    },
  };
}

function operatorFields({ plan, subscriptionStatus }: TenantChange): string[] {
  return [
    ...(plan === undefined ? [] : ['plan']),
    ...(subscriptionStatus === undefined ? [] : ['subscription_status']),
  ];
}

function namesOf({ name, slug }: TenantChange): boolean {
  return name !== undefined || slug !== undefined;
}
