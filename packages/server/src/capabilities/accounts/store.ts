import { assert } from '../../kernel/assert.js';
import type { TenantId, UserId } from '../../kernel/ids.js';
import { PLANS } from '../../kernel/plan-tiers.js';
import { USER_ROLES } from '../../kernel/principal.js';
import { type Database, type Transaction, UniqueViolation } from '../../platform/storage/database.js';
import { slugTaken } from './errors.js';
import { accountsTables } from './tables.js';
import {
  type Member,
  type NewTenant,
  type PreparedOwner,
  type Region,
  SUBSCRIPTION_STATUSES,
  type Tenant,
  type TenantChange,
} from './types.js';

const TENANT_COLUMNS = [
  'id',
  'slug',
  'name',
  'plan',
  'subscription_status',
  'ephemeral_enabled',
  'region',
  'created_at',
] as const;

const LISTED_OWNERS_MAX = 20;

export function createAccountsStore(db: Database) {
  const view = db.view(accountsTables);

  const byId = view.defineSystem<{ id: string }, TenantRow>(
    'accounts_tenant_by_id',
    'credential_by_hash',
    (queries, arg) =>
      queries
        .selectFrom('tenants')
        .select(TENANT_COLUMNS)
        .where('id', '=', arg('id') as TenantId)
        .where('deleted_at', 'is', null),
  );
  const member = view.defineSystem<{ tenantId: string; userId: string }, { email: string; role: string }>(
    'accounts_member',
    'people',
    (queries, arg) =>
      queries
        .selectFrom('memberships as m')
        .innerJoin('users as u', 'u.id', 'm.user_id')
        .select(['u.email', 'm.role'])
        .where('m.tenant_id', '=', arg('tenantId') as TenantId)
        .where('m.user_id', '=', arg('userId') as UserId),
  );
  const bySlug = view.defineSystem<{ slug: string }, TenantRow>(
    'accounts_tenant_by_slug',
    'tenant_by_slug',
    (queries, arg) =>
      queries
        .selectFrom('tenants')
        .select(TENANT_COLUMNS)
        .where('slug', '=', arg('slug'))
        .where('deleted_at', 'is', null),
  );

  const userByEmail = view.defineSystem<{ email: string }, { id: UserId }>(
    'accounts_user_by_email',
    'people',
    (queries, arg) => queries.selectFrom('users').select('id').where('email_folded', '=', arg('email')),
  );

  return {
    async findTenantById(id: TenantId, tx?: Transaction): Promise<Tenant | undefined> {
      const row = await byId.first(null, { id }, tx);
      return row && tenantOf(row);
    },

    async findTenantBySlug(slug: string): Promise<Tenant | undefined> {
      const row = await bySlug.first(null, { slug });
      return row && tenantOf(row);
    },

    async hasTenants(tx?: Transaction): Promise<boolean> {
      const row = await view
        .system('bootstrap', tx)
        .selectFrom('tenants')
        .select('id')
        .limit(1)
        .executeTakeFirst();
      return row !== undefined;
    },

    /** Of one that is being removed too. */
    async takenSlugs(slugs: readonly string[], by: TenantId, nowMs: number): Promise<string[]> {
      if (slugs.length === 0) return [];
      const queries = view.system('tenant_by_slug');
      const [held, kept] = await Promise.all([
        queries.selectFrom('tenants').select('slug').where('slug', 'in', slugs).execute(),
        queries
          .selectFrom('kept_slugs')
          .select('slug')
          .where('slug', 'in', slugs)
          .where('holder_id', '!=', by)
          .where('kept_until', '>', nowMs)
          .execute(),
      ]);
      return [...held, ...kept].map(({ slug }) => slug);
    },

    async hasSeveralTenants(): Promise<boolean> {
      const rows = await view
        .system('bootstrap')
        .selectFrom('tenants')
        .select('id')
        .where('deleted_at', 'is', null)
        .limit(2)
        .execute();
      return rows.length > 1;
    },

    async insertTenant(tx: Transaction, tenant: Tenant & Pick<NewTenant, 'country'>): Promise<void> {
      await view
        .system('bootstrap', tx)
        .insertInto('tenants')
        .values({
          id: tenant.id,
          slug: tenant.slug,
          name: tenant.name,
          plan: tenant.plan,
          subscription_status: tenant.subscriptionStatus,
          ephemeral_enabled: flagOf(tenant.ephemeralEnabled),
          region: tenant.region,
          country: tenant.country ?? null,
          created_at: tenant.createdAtMs,
          updated_at: tenant.createdAtMs,
        })
        .execute()
        .catch(refuseTakenSlug);
    },

    async insertUser(tx: Transaction, user: NewUser): Promise<void> {
      await view
        .system('bootstrap', tx)
        .insertInto('users')
        .values({
          id: user.id,
          email: user.email,
          email_folded: foldEmail(user.email),
          password_hash: user.passwordHash,
          full_name: user.fullName ?? null,
          created_at: user.createdAtMs,
        })
        .execute();
    },

    async findUserId(emailFolded: string, tx?: Transaction): Promise<UserId | undefined> {
      const row = await userByEmail.first(null, { email: emailFolded }, tx);
      return row?.id;
    },

    async insertMembership(
      tx: Transaction,
      tenantId: TenantId,
      member: { userId: UserId; role: string; createdAtMs: number },
    ): Promise<void> {
      await view
        .scoped({ tenantId }, tx)
        .insertInto('memberships')
        .values({ user_id: member.userId, role: member.role, created_at: member.createdAtMs })
        .execute();
    },

    /** The tenant as it is afterwards; undefined when there is none. */
    async updateTenant(
      tx: Transaction,
      tenantId: TenantId,
      { name, slug, plan, subscriptionStatus, ephemeralEnabled }: TenantChange,
      nowMs: number,
    ): Promise<Tenant | undefined> {
      const row = await view
        .system('operator', tx)
        .updateTable('tenants')
        .set({
          updated_at: nowMs,
          ...(name === undefined ? {} : { name }),
          ...(slug === undefined ? {} : { slug }),
          ...(plan === undefined ? {} : { plan }),
          ...(subscriptionStatus === undefined ? {} : { subscription_status: subscriptionStatus }),
          ...(ephemeralEnabled === undefined ? {} : { ephemeral_enabled: flagOf(ephemeralEnabled) }),
        })
        .where('id', '=', tenantId)
        .where('deleted_at', 'is', null)
        .returning(TENANT_COLUMNS)
        .executeTakeFirst()
        .catch(refuseTakenSlug);
      return row && tenantOf(row);
    },

    /** Of a tenant that is being removed too: the name is free once its row is gone. */
    async findSlugHolder(slug: string, tx?: Transaction): Promise<TenantId | undefined> {
      const row = await view
        .system('tenant_by_slug', tx)
        .selectFrom('tenants')
        .select('id')
        .where('slug', '=', slug)
        .executeTakeFirst();
      return row?.id;
    },

    async findSlug(tx: Transaction, tenantId: TenantId): Promise<string | undefined> {
      const row = await view
        .system('tenant_by_slug', tx)
        .selectFrom('tenants')
        .select('slug')
        .where('id', '=', tenantId)
        .executeTakeFirst();
      return row?.slug;
    },

    async findKeptSlug(slug: string, nowMs: number, tx?: Transaction): Promise<TenantId | undefined> {
      const row = await view
        .system('tenant_by_slug', tx)
        .selectFrom('kept_slugs')
        .select('holder_id')
        .where('slug', '=', slug)
        .where('kept_until', '>', nowMs)
        .executeTakeFirst();
      return row?.holder_id;
    },

    async keptSlugsOf(tx: Transaction, tenantId: TenantId, nowMs: number): Promise<string[]> {
      const rows = await view
        .system('tenant_by_slug', tx)
        .selectFrom('kept_slugs')
        .select('slug')
        .where('holder_id', '=', tenantId)
        .where('kept_until', '>', nowMs)
        .execute();
      return rows.map(({ slug }) => slug);
    },

    async keepSlug(tx: Transaction, tenantId: TenantId, slug: string, untilMs: number): Promise<void> {
      const kept = { holder_id: tenantId, kept_until: untilMs };
      await view
        .system('tenant_by_slug', tx)
        .insertInto('kept_slugs')
        .values({ slug, ...kept })
        .onConflict((conflict) => conflict.column('slug').doUpdateSet(kept))
        .execute();
    },

    /** Undefined where it was deleted before. */
    async markDeleted(tx: Transaction, tenantId: TenantId, nowMs: number): Promise<Tenant | undefined> {
      const row = await view
        .system('people', tx)
        .updateTable('tenants')
        .set({ deleted_at: nowMs, updated_at: nowMs })
        .where('id', '=', tenantId)
        .where('deleted_at', 'is', null)
        .returning(TENANT_COLUMNS)
        .executeTakeFirst();
      return row && tenantOf(row);
    },

    async deleteMemberships(tx: Transaction, tenantId: TenantId): Promise<void> {
      await view.scoped({ tenantId }, tx).deleteFrom('memberships').execute();
      await view.scoped({ tenantId }, tx).deleteFrom('invitations').execute();
    },

    /** The oldest first. */
    async listDeleted(limit: number): Promise<{ id: TenantId; deletedAtMs: number }[]> {
      const rows = await view
        .system('tenant_removal')
        .selectFrom('tenants')
        .select(['id', 'deleted_at'])
        .where('deleted_at', 'is not', null)
        .orderBy('deleted_at')
        .limit(limit)
        .execute();
      return rows.map(({ id, deleted_at }) => ({ id, deletedAtMs: deleted_at! }));
    },

    /** Once nothing refers to it any more. */
    async deleteRow(tx: Transaction, tenantId: TenantId): Promise<void> {
      await view
        .system('tenant_removal', tx)
        .deleteFrom('tenants')
        .where('id', '=', tenantId)
        .where('deleted_at', 'is not', null)
        .execute();
    },

    async forgetKeptSlugs(tx: Transaction, nowMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const rows = await queries
        .selectFrom('kept_slugs')
        .select('slug')
        .where('kept_until', '<=', nowMs)
        .limit(rowsMax)
        .execute();
      const slugs = rows.map(({ slug }) => slug);
      if (slugs.length > 0) await queries.deleteFrom('kept_slugs').where('slug', 'in', slugs).execute();
      return slugs.length;
    },

    async findBootstrapTenantId(tx?: Transaction): Promise<TenantId | undefined> {
      const row = await view
        .system('bootstrap', tx)
        .selectFrom('tenants')
        .select('id')
        .orderBy('created_at')
        .orderBy('id')
        .limit(1)
        .executeTakeFirst();
      return row?.id;
    },

    async listBootstrapOwners(): Promise<string[]> {
      const tenantId = await this.findBootstrapTenantId();
      if (tenantId === undefined) return [];
      const rows = await view
        .system('operator')
        .selectFrom('memberships')
        .innerJoin('users', 'users.id', 'memberships.user_id')
        .select('users.email')
        .where('memberships.tenant_id', '=', tenantId)
        .where('memberships.role', '=', 'owner')
        .orderBy('users.email_folded')
        .limit(LISTED_OWNERS_MAX)
        .execute();
      return rows.map(({ email }) => email);
    },

    async findMember(tenantId: TenantId, userId: UserId): Promise<Member | undefined> {
      const row = await member.first(null, { tenantId, userId });
      if (!row) return undefined;
      const role = USER_ROLES.find((name) => name === row.role);
      assert(role, 'a stored membership has an unknown role');
      return { email: row.email, role };
    },

    async hasRole(tenantId: TenantId, userId: UserId, role: string): Promise<boolean> {
      const row = await view
        .scoped({ tenantId })
        .selectFrom('memberships')
        .select('user_id')
        .where('user_id', '=', userId)
        .where('role', '=', role)
        .executeTakeFirst();
      return row !== undefined;
    },
  };
}

export function foldEmail(email: string): string {
  return email.toLowerCase();
}

/** Of two that take one name at once. */
function refuseTakenSlug(error: unknown): never {
  throw error instanceof UniqueViolation ? slugTaken() : error;
}

function flagOf(value: boolean | null): number | null {
  return value === null ? null : Number(value);
}

interface NewUser extends PreparedOwner {
  readonly id: UserId;
  readonly createdAtMs: number;
}

interface TenantRow {
  readonly id: TenantId;
  readonly slug: string;
  readonly name: string;
  readonly plan: string;
  readonly subscription_status: string;
  readonly ephemeral_enabled: number | null;
  readonly region: Region | null;
  readonly created_at: number;
}

function tenantOf(row: TenantRow): Tenant {
  const plan = PLANS.find((name) => name === row.plan);
  const subscriptionStatus = SUBSCRIPTION_STATUSES.find((name) => name === row.subscription_status);
  assert(plan && subscriptionStatus, 'a stored tenant has an unknown plan or status');
  return {
    id: row.id,
    slug: row.slug,
    name: row.name,
    plan,
    subscriptionStatus,
    ephemeralEnabled: row.ephemeral_enabled === null ? null : row.ephemeral_enabled === 1,
    region: row.region,
    createdAtMs: row.created_at,
  };
}
