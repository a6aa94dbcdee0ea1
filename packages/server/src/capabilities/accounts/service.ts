import type { Clock } from '../../kernel/clock.js';
import type { IdSource, TenantId, UserId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Actor } from '../../kernel/principal.js';
import type { Secret } from '../../kernel/secret.js';
import type { Generations } from '../../platform/cache/generations.js';
import { sha256 } from '../../platform/crypto/hashing.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { tooManyTenantsMade } from './errors.js';
import { hashOfNewPassword } from './passwords.js';
import { createSessionStore, type Membership } from './sessions/store.js';
import { createSignInAttemptStore } from './sign-in-attempts/store.js';
import { createSlugs } from './slugs.js';
import { createAccountsStore, foldEmail } from './store.js';
import type { Member, NewTenant, PreparedOwner, Tenant, TenantChange } from './types.js';

export interface AccountsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly generations: Pick<Generations, 'bump'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  /** What every tenant starts with, in the transaction that makes it. */
  seedTenant(tx: Transaction, tenantId: TenantId): Promise<void>;
}

export interface Accounts {
  hasTenants(tx?: Transaction): Promise<boolean>;
  tenantById(id: TenantId, tx?: Transaction): Promise<Tenant | undefined>;
  tenantBySlug(slug: string): Promise<Tenant | undefined>;
  /** Whether a new tenant may be called that: it is nobody's, and was nobody's lately. */
  isSlugFree(slug: string): Promise<boolean>;
  /** Whose account that address is. */
  findUserId(email: string, tx?: Transaction): Promise<UserId | undefined>;
  /** Which of these slugs are a tenant's, or were lately that of another one. */
  takenSlugs(slugs: readonly string[], by: TenantId): Promise<string[]>;
  /** Without those that are being removed. */
  hasSeveralTenants(): Promise<boolean>;
  /** Hashes the password; call it before the transaction that makes the tenant. */
  prepareOwner(email: string, password: Secret<string>): Promise<PreparedOwner>;
  /** Tenant, owner and membership in the caller's transaction, so that its keys can be made in the same one. */
  createTenantWithOwner(tx: Transaction, tenant: NewTenant, owner: PreparedOwner): Promise<Tenant>;
  /** The same for a user that there is. */
  createTenant(tx: Transaction, tenant: NewTenant, ownerId: UserId, actor: Actor): Promise<Tenant>;
  /** Where the user belongs, the oldest first. */
  membershipsOf(userId: UserId, tx?: Transaction): Promise<Membership[]>;
  /**
   * In the caller's transaction, which also writes the audit row. What depends on it, a paused tenant's next call for
   * one, changes everywhere within 1 s (auth.md §11). Undefined when there is no such tenant.
   */
  changeTenant(tx: Transaction, tenantId: TenantId, change: TenantChange): Promise<Tenant | undefined>;
  /** Undefined for who does not belong to the tenant any more. */
  member(tenantId: TenantId, userId: UserId): Promise<Member | undefined>;
  /**
   * From its commit on the tenant and everybody's place in it are gone for every process; its rows are left to be
   * removed. Undefined when there is no such tenant.
   */
  deleteTenant(tx: Transaction, tenantId: TenantId): Promise<Tenant | undefined>;
  /** The tenant of the first start, whose Owners are the operator; undefined before it. */
  bootstrapTenantId(tx?: Transaction): Promise<TenantId | undefined>;
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
  const sessionStore = createSessionStore(db);
  const counts = createSignInAttemptStore(db);
  const slugs = createSlugs({ db, clock });

  /** Tenant, membership and audit row. */
  async function insertTenant(
    tx: Transaction,
    input: NewTenant,
    ownerId: UserId,
    actor: Actor,
  ): Promise<Tenant> {
    const createdAtMs = clock.nowMs();
    const { id, slug, name, plan, ephemeralEnabled = null, region = null, country = null } = input;
    await slugs.take(tx, id, slug);
    const tenant: Tenant = {
      id,
      slug,
      name,
      plan,
      subscriptionStatus: 'active',
      ephemeralEnabled,
      region,
      createdAtMs,
    };
    await store.insertTenant(tx, { ...tenant, country });
    await store.insertMembership(tx, id, { userId: ownerId, role: 'owner', createdAtMs });
    await deps.seedTenant(tx, id);
    await auditLogs.record(tx, actor, {
      action: 'tenant.create',
      resourceType: 'tenant',
      resourceId: id,
      details: { slug, name, plan },
    });
    return tenant;
  }

  return {
    hasTenants: (tx) => store.hasTenants(tx),
    tenantById: (id, tx) => store.findTenantById(id, tx),
    tenantBySlug: (slug) => store.findTenantBySlug(slug),
    takenSlugs: (slugs, by) => store.takenSlugs(slugs, by, clock.nowMs()),
    hasSeveralTenants: () => store.hasSeveralTenants(),
    isSlugFree: async (slug) => (await slugs.holderOf(slug)) === undefined,

    findUserId: (email, tx) => store.findUserId(foldEmail(email), tx),

    async prepareOwner(email, password) {
      return { email, passwordHash: await hashOfNewPassword(password) };
    },

    async createTenantWithOwner(tx, input, owner) {
      const ownerId = ids.uuid() as UserId;
      await store.insertUser(tx, { id: ownerId, ...owner, createdAtMs: clock.nowMs() });
      return insertTenant(tx, input, ownerId, systemActor(input.id));
    },

    async createTenant(tx, input, ownerId, actor) {
      const rule = { max: LIMITS.tenantsMadeMax, windowMs: LIMITS.tenantsMadeWindowMs };
      const nowMs = clock.nowMs();
      const made = await counts.count(tx, sha256(`tenants\0${ownerId}`), rule, nowMs);
      if (made.attempts > rule.max) throw tooManyTenantsMade(made.expiresAtMs - nowMs);
      return insertTenant(tx, input, ownerId, actor);
    },
    membershipsOf: (userId, tx) => sessionStore.membershipsOf(userId, tx),

    async changeTenant(tx, tenantId, change) {
      const { slug } = change;
      if (slug !== undefined) await slugs.take(tx, tenantId, slug);
      const tenant = await store.updateTenant(tx, tenantId, change, clock.nowMs());
      if (tenant) await generations.bump(tx, credentialGeneration(tenantId));
      return tenant;
    },

    async deleteTenant(tx, tenantId) {
      await tx.lock('tenants', tenantId);
      const tenant = await store.markDeleted(tx, tenantId, clock.nowMs());
      if (!tenant) return undefined;
      await slugs.keep(tx, tenantId, tenant.slug);
      await store.deleteMemberships(tx, tenantId);
      await generations.bump(tx, credentialGeneration(tenantId));
      return tenant;
    },

    bootstrapTenantId: (tx) => store.findBootstrapTenantId(tx),
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
