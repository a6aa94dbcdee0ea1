import type { Clock } from '../../kernel/clock.js';
import { notFound } from '../../kernel/errors.js';
import type { TenantId } from '../../kernel/ids.js';
import { type Actor, actorOf, type Caller } from '../../kernel/principal.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Database } from '../../platform/storage/database.js';
import { type Accounts, systemActor, type Tenant, type TenantChange } from '../accounts/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { operatorOnly, tenantWriteMissing } from './errors.js';
import { createPlansStore } from './store.js';
import { datesAfter } from './subscription.js';

export interface TenantSwitchDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly accounts: Pick<Accounts, 'changeTenant' | 'isOperator' | 'tenantBySlug'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
}

/** What is switched from outside of a tenant: its plan, its subscription, its ephemeral calls (auth.md §7). */
export interface TenantSwitch {
  /**
   * The operator changes any tenant; a tenant's own Owner or Admin only the ephemeral switch of that one. Another
   * tenant is 404 to everybody else.
   */
  change(caller: Caller, tenantId: TenantId, change: TenantChange): Promise<Tenant>;
  /** For who may run commands on the server. */
  changeBySlug(slug: string, change: TenantChange): Promise<Tenant>;
}

export function createTenantSwitch({ db, clock, accounts, auditLogs }: TenantSwitchDeps): TenantSwitch {
  const store = createPlansStore(db);

  function write(actor: Actor, tenantId: TenantId, change: TenantChange, caller?: Caller): Promise<Tenant> {
    return db.transaction(async (tx) => {
      const tenant = await accounts.changeTenant(tx, tenantId, change);
      if (!tenant) throw notFound('Tenant');
      const { plan, subscriptionStatus, ephemeralEnabled } = change;
      if (subscriptionStatus !== undefined) {
        const dates = await store.subscriptionDates(tenantId, tx);
        await store.setSubscriptionDates(tx, tenantId, datesAfter(dates, subscriptionStatus, clock.nowMs()));
      }
      await auditLogs.record(tx, actor, {
        action: 'tenant.update',
        resourceType: 'tenant',
        resourceId: tenantId,
        details: {
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
