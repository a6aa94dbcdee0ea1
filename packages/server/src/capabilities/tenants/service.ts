import type { Clock } from '../../kernel/clock.js';
import { notFound } from '../../kernel/errors.js';
import type { IdSource, TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Actor, SessionCaller, UserRole } from '../../kernel/principal.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { type Accounts, systemActor, type Tenant } from '../accounts/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { TenantKeys } from '../kms/index.js';
import {
  noTenantsForStrangers,
  operatorsTenant,
  ownerOnly,
  slugNotTyped,
  stepUpOfAnother,
  tooManyTenants,
} from './errors.js';

export interface TenantsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly accounts: Pick<
    Accounts,
    'createTenant' | 'deleteTenant' | 'tenantById' | 'membershipsOf' | 'isOperator' | 'bootstrapTenantId'
  >;
  readonly tenantKeys: Pick<TenantKeys, 'prepare' | 'createFor'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly isSignupOn: boolean;
  /** A tenant is to be removed. */
  wakeRemoval(): void;
}

/** What a user asks for that makes a tenant. */
export interface TenantWish {
  readonly name: string;
  readonly slug: string;
  readonly ephemeralEnabled: boolean | null;
}

/** A tenant, and what the caller is in it; null for an operator who does not belong to it. */
export interface TenantView {
  readonly tenant: Tenant;
  readonly role: UserRole | null;
}

export interface Tenants {
  /** Of the caller, who becomes its Owner. Where signup is off, of who belongs to a tenant already. */
  create(caller: SessionCaller, wish: TenantWish): Promise<TenantView>;
  /** Those that the caller belongs to, the oldest membership first. */
  list(caller: SessionCaller): Promise<TenantView[]>;
  /** Any tenant for the operator; for others 404 where they do not belong to it. */
  get(caller: SessionCaller, id: TenantId): Promise<TenantView>;
  /** At once for callers of it, in the background for its rows. An Owner's alone, who names it by its slug. */
  delete(caller: SessionCaller, id: TenantId, slug: string): Promise<void>;
}

export function createTenants(deps: TenantsDeps): Tenants {
  const { db, ids, accounts, tenantKeys, auditLogs } = deps;

  async function roleIn(caller: SessionCaller, id: TenantId, tx?: Transaction): Promise<UserRole | null> {
    const memberships = await accounts.membershipsOf(caller.userId, tx);
    return memberships.find(({ tenantId }) => tenantId === id)?.role ?? null;
  }

  return {
    async create(caller, { name, slug, ephemeralEnabled }) {
      const id = ids.uuid() as TenantId;
      const masterKey = await tenantKeys.prepare(id);
      return db.transaction(async (tx) => {
        await tx.lock('users', caller.userId);
        const { length: count } = await accounts.membershipsOf(caller.userId, tx);
        if (count >= LIMITS.tenantsPerUserMax) throw tooManyTenants();
        // Whoever was removed everywhere is a stranger, and strangers get a tenant by signup or not at all.
        if (count === 0 && !deps.isSignupOn) throw noTenantsForStrangers();
        const wanted = { id, name, slug, ephemeralEnabled, plan: 'free' as const };
        const tenant = await accounts.createTenant(tx, wanted, caller.userId, actorIn(id, caller));
        await tenantKeys.createFor(tx, id, masterKey);
        return { tenant, role: 'owner' };
      });
    },

    async list({ userId }) {
      const memberships = await accounts.membershipsOf(userId);
      const views = await Promise.all(
        memberships.map(async ({ tenantId, role }) => {
          const tenant = await accounts.tenantById(tenantId);
          return tenant && { tenant, role };
        }),
      );
      return views.filter((view) => view !== undefined);
    },

    async get(caller, id) {
      const role = await roleIn(caller, id);
      const mayRead = role !== null || (await accounts.isOperator(caller.userId));
      const tenant = mayRead ? await accounts.tenantById(id) : undefined;
      if (!tenant) throw notFound('Tenant');
      return { tenant, role };
    },

    async delete(caller, id, slug) {
      const role = await roleIn(caller, id);
      requireOwner(role);
      const tenant = await accounts.tenantById(id);
      if (!tenant) throw notFound('Tenant');
      // Else a proof that was given for another tenant would delete this one.
      if (caller.tenantId !== id) throw stepUpOfAnother();
      if (slug !== tenant.slug) throw slugNotTyped();
      await db.transaction(async (tx) => {
        const first = await accounts.bootstrapTenantId(tx);
        if (first === id) throw operatorsTenant();
        // Who was demoted since the call began deletes nothing.
        requireOwner(await roleIn(caller, id, tx));
        // Of two Owners at once one finds nobody's tenant any more.
        const deleted = await accounts.deleteTenant(tx, id);
        if (!deleted) throw notFound('Tenant');
        const entry = {
          action: 'tenant.delete',
          resourceType: 'tenant',
          resourceId: id,
          details: { slug: deleted.slug, name: deleted.name },
        };
        await auditLogs.record(tx, actorIn(id, caller), entry);
        // Its own rows go with it; the operator's tell that it was there.
        if (first !== undefined)
          await auditLogs.record(tx, systemActor(first), {
            ...entry,
            details: { ...entry.details, deleted_by: caller.userId },
          });
        tx.afterCommit(deps.wakeRemoval);
      });
    },
  };
}

/** To who does not belong to it a tenant is as unknown as any other. */
function requireOwner(role: UserRole | null): void {
  if (role === null) throw notFound('Tenant');
  if (role !== 'owner') throw ownerOnly();
}

function actorIn(tenantId: TenantId, { userId, requestId, ip }: SessionCaller): Actor {
  return { scope: { tenantId, sandbox: false }, apiKeyId: null, userId, requestId, ip };
}
