import type { Clock } from '../../kernel/clock.js';
import { validationError } from '../../kernel/errors.js';
import type { IdSource, TenantId, UserId } from '../../kernel/ids.js';
import type { Actor } from '../../kernel/principal.js';
import type { Secret } from '../../kernel/secret.js';
import type { Generations } from '../../platform/cache/generations.js';
import { isTenantSlug } from '../../platform/http/hosts.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { hashOfNewPassword } from './passwords.js';
import { createAccountsStore, foldEmail } from './store.js';
import type { Member, NewTenant, PreparedOwner, Tenant, TenantChange } from './types.js';

export interface AccountsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly generations: Pick<Generations, 'bump'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
}

export interface Accounts {
  hasTenants(tx?: Transaction): Promise<boolean>;
  tenantById(id: TenantId): Promise<Tenant | undefined>;
  tenantBySlug(slug: string): Promise<Tenant | undefined>;
  /** Whose account that address is. */
  findUserId(email: string, tx?: Transaction): Promise<UserId | undefined>;
  /** Which of these slugs tenants have. */
  existingSlugs(slugs: readonly string[]): Promise<string[]>;
  hasSeveralTenants(): Promise<boolean>;
  /** Hashes the password; call it before the transaction that makes the tenant. */
  prepareOwner(email: string, password: Secret<string>): Promise<PreparedOwner>;
  /** Tenant, owner and membership in the caller's transaction, so that its keys can be made in the same one. */
  createTenantWithOwner(tx: Transaction, tenant: NewTenant, owner: PreparedOwner): Promise<Tenant>;
  /**
   * In the caller's transaction, which also writes the audit row. What depends on it, a paused tenant's next call for
   * one, changes everywhere within 1 s (auth.md §11). Undefined when there is no such tenant.
   */
  changeTenant(tx: Transaction, tenantId: TenantId, change: TenantChange): Promise<Tenant | undefined>;
  /** Undefined for who does not belong to the tenant any more. */
  member(tenantId: TenantId, userId: UserId): Promise<Member | undefined>;
  /** An Owner of the tenant of the first start (contract README §12). */
  isOperator(userId: UserId): Promise<boolean>;
}

/** The generation under which everything is cached that decides a tenant's credentials. */
export function credentialGeneration(tenantId: TenantId): string {
  return `api_keys:${tenantId}`;
}

export function createAccounts(deps: AccountsDeps): Accounts {
  const { db, clock, ids, generations, auditLogs } = deps;
  const store = createAccountsStore(db);

  return {
    hasTenants: (tx) => store.hasTenants(tx),
    tenantById: (id) => store.findTenantById(id),
    tenantBySlug: (slug) => store.findTenantBySlug(slug),
    existingSlugs: (slugs) => store.existingSlugs(slugs),
    hasSeveralTenants: () => store.hasSeveralTenants(),

    findUserId: (email, tx) => store.findUserId(foldEmail(email), tx),

    async prepareOwner(email, password) {
      return { email, passwordHash: await hashOfNewPassword(password) };
    },

    async createTenantWithOwner(tx, input, owner) {
      if (!isTenantSlug(input.slug))
        throw validationError('slug', 'must be one DNS label that is not reserved');
      const createdAtMs = clock.nowMs();
      const tenant: Tenant = {
        id: input.id,
        slug: input.slug,
        name: input.name,
        plan: input.plan,
        subscriptionStatus: 'active',
        ephemeralEnabled: null,
        region: input.region ?? null,
        createdAtMs,
      };
      const ownerId = ids.uuid() as UserId;
      await store.insertTenant(tx, { ...tenant, country: input.country ?? null });
      await store.insertUser(tx, { id: ownerId, ...owner, createdAtMs });
      await store.insertMembership(tx, tenant.id, { userId: ownerId, role: 'owner', createdAtMs });
      await auditLogs.record(tx, systemActor(tenant.id), {
        action: 'tenant.create',
        resourceType: 'tenant',
        resourceId: tenant.id,
        details: { slug: tenant.slug, name: tenant.name, plan: tenant.plan },
      });
      return tenant;
    },

    async changeTenant(tx, tenantId, change) {
      const tenant = await store.updateTenant(tx, tenantId, change, clock.nowMs());
      if (tenant) await generations.bump(tx, credentialGeneration(tenantId));
      return tenant;
    },

    member: (tenantId, userId) => store.findMember(tenantId, userId),

    async isOperator(userId) {
      const tenantId = await store.findBootstrapTenantId();
      return tenantId !== undefined && (await store.hasRole(tenantId, userId, 'owner'));
    },
  };
}

/** The cause of what the operator does on the server itself, and of background work. */
export function systemActor(tenantId: TenantId): Actor {
  return {
    scope: { tenantId, sandbox: false },
    apiKeyId: null,
    userId: null,
    requestId: null,
    ip: null,
  };
}
