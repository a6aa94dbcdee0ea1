import { assert } from '../../../kernel/assert.js';
import type { InvitationId, TenantId, UserId } from '../../../kernel/ids.js';
import { USER_ROLES, type UserRole } from '../../../kernel/principal.js';
import { offsetOf, type PageOptions } from '../../../platform/http/pagination.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { accountsTables } from '../tables.js';

export interface TeamMember {
  readonly userId: UserId;
  readonly email: string;
  readonly role: UserRole;
  readonly joinedAtMs: number;
}

export interface Invitation {
  readonly id: InvitationId;
  readonly tenantId: TenantId;
  readonly email: string;
  readonly role: UserRole;
  readonly invitedBy: UserId;
  readonly createdAtMs: number;
  readonly sentAtMs: number;
  readonly expiresAtMs: number;
}

const INVITATION_COLUMNS = [
  'id',
  'tenant_id',
  'email',
  'role',
  'invited_by',
  'created_at',
  'sent_at',
  'expires_at',
] as const;

export function createTeamStore(db: Database) {
  const view = db.view(accountsTables);
  const members = (tenantId: TenantId, tx?: Transaction) =>
    view.scoped({ tenantId }, tx).selectFrom('memberships').select(['user_id', 'role', 'created_at']);

  return {
    async list(tenantId: TenantId, { page, perPage, order }: PageOptions): Promise<TeamMember[]> {
      const rows = await members(tenantId)
        .orderBy('created_at', order)
        .orderBy('user_id', order)
        .limit(perPage)
        .offset(offsetOf(page, perPage))
        .execute();
      return this.withAddresses(rows);
    },

    async withAddresses(rows: readonly MemberRow[], tx?: Transaction): Promise<TeamMember[]> {
      if (rows.length === 0) return [];
      const users = await view
        .system('people', tx)
        .selectFrom('users')
        .select(['id', 'email'])
        .where(
          'id',
          'in',
          rows.map(({ user_id }) => user_id),
        )
        .execute();
      const emails = new Map(users.map(({ id, email }) => [id, email]));
      return rows.map((row) => {
        const email = emails.get(row.user_id);
        assert(email !== undefined, 'a member is no user');
        return { userId: row.user_id, email, role: roleOf(row.role), joinedAtMs: row.created_at };
      });
    },

    async find(tenantId: TenantId, userId: UserId, tx?: Transaction): Promise<TeamMember | undefined> {
      const row = await members(tenantId, tx).where('user_id', '=', userId).executeTakeFirst();
      return row && (await this.withAddresses([row], tx))[0];
    },

    async count(tenantId: TenantId, role: UserRole | null, tx?: Transaction): Promise<number> {
      let query = view.scoped({ tenantId }, tx).selectFrom('memberships');
      if (role !== null) query = query.where('role', '=', role);
      const { total } = await query
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    async add(
      tx: Transaction,
      tenantId: TenantId,
      userId: UserId,
      role: UserRole,
      nowMs: number,
    ): Promise<void> {
      await view
        .scoped({ tenantId }, tx)
        .insertInto('memberships')
        .values({ user_id: userId, role, created_at: nowMs })
        .execute();
    },

    async setRole(tx: Transaction, tenantId: TenantId, userId: UserId, role: UserRole): Promise<void> {
      await view
        .scoped({ tenantId }, tx)
        .updateTable('memberships')
        .set({ role })
        .where('user_id', '=', userId)
        .execute();
    },

    async remove(tx: Transaction, tenantId: TenantId, userId: UserId): Promise<void> {
      await view.scoped({ tenantId }, tx).deleteFrom('memberships').where('user_id', '=', userId).execute();
    },

    async listInvitations(tenantId: TenantId, { page, perPage, order }: PageOptions): Promise<Invitation[]> {
      const rows = await view
        .scoped({ tenantId })
        .selectFrom('invitations')
        .select(INVITATION_COLUMNS)
        .orderBy('created_at', order)
        .orderBy('id', order)
        .limit(perPage)
        .offset(offsetOf(page, perPage))
        .execute();
      return rows.map(invitationOf);
    },

    async countInvitations(tenantId: TenantId, tx?: Transaction): Promise<number> {
      const { total } = await view
        .scoped({ tenantId }, tx)
        .selectFrom('invitations')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    async insertInvitation(
      tx: Transaction,
      { id, tenantId, email, role, invitedBy, createdAtMs, sentAtMs, expiresAtMs }: Invitation,
      emailFolded: string,
      hash: Buffer,
    ): Promise<void> {
      await view
        .scoped({ tenantId }, tx)
        .insertInto('invitations')
        .values({
          id,
          email,
          email_folded: emailFolded,
          role,
          token_hash: hash,
          invited_by: invitedBy,
          created_at: createdAtMs,
          sent_at: sentAtMs,
          expires_at: expiresAtMs,
        })
        .execute();
    },

    async findInvitationTo(
      tx: Transaction,
      tenantId: TenantId,
      emailFolded: string,
    ): Promise<Invitation | undefined> {
      const row = await view
        .scoped({ tenantId }, tx)
        .selectFrom('invitations')
        .select(INVITATION_COLUMNS)
        .where('email_folded', '=', emailFolded)
        .executeTakeFirst();
      return row && invitationOf(row);
    },

    /** Whatever has become of it. */
    async findInvitation(
      tx: Transaction,
      tenantId: TenantId,
      id: InvitationId,
    ): Promise<Invitation | undefined> {
      const row = await view
        .scoped({ tenantId }, tx)
        .selectFrom('invitations')
        .select(INVITATION_COLUMNS)
        .where('id', '=', id)
        .executeTakeFirst();
      return row && invitationOf(row);
    },

    /** A token names its tenant; before it is found there is no scope. */
    async findInvitationByHash(hash: Buffer, nowMs: number): Promise<Invitation | undefined> {
      const row = await view
        .system('credential_by_hash')
        .selectFrom('invitations')
        .select(INVITATION_COLUMNS)
        .where('token_hash', '=', hash)
        .where('expires_at', '>', nowMs)
        .executeTakeFirst();
      return row && invitationOf(row);
    },

    /** A new link; the former one is dead. */
    async renewInvitation(
      tx: Transaction,
      { tenantId, id }: Invitation,
      hash: Buffer,
      sent: { readonly invitedBy: UserId; readonly nowMs: number; readonly expiresAtMs: number },
    ): Promise<Invitation | undefined> {
      const row = await view
        .scoped({ tenantId }, tx)
        .updateTable('invitations')
        .set({
          token_hash: hash,
          invited_by: sent.invitedBy,
          sent_at: sent.nowMs,
          expires_at: sent.expiresAtMs,
        })
        .where('id', '=', id)
        .returning(INVITATION_COLUMNS)
        .executeTakeFirst();
      return row && invitationOf(row);
    },

    /** Those to one of these roles that this member has sent; how many. */
    async removeInvitationsBy(
      tx: Transaction,
      tenantId: TenantId,
      userId: UserId,
      roles: readonly UserRole[],
    ): Promise<number> {
      if (roles.length === 0) return 0;
      const removed = await view
        .scoped({ tenantId }, tx)
        .deleteFrom('invitations')
        .where('invited_by', '=', userId)
        .where('role', 'in', roles)
        .returning('id')
        .execute();
      return removed.length;
    },

    /** True for the one that took it. */
    async removeInvitation(
      tx: Transaction,
      { tenantId, id }: Pick<Invitation, 'tenantId' | 'id'>,
      hash: Buffer | null,
    ): Promise<boolean> {
      let query = view.scoped({ tenantId }, tx).deleteFrom('invitations').where('id', '=', id);
      if (hash !== null) query = query.where('token_hash', '=', hash);
      return (await query.returning('id').executeTakeFirst()) !== undefined;
    },

    /** Of all tenants those that ran out before `beforeMs`. */
    async removeInvitations(tx: Transaction, beforeMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const ended = await queries
        .selectFrom('invitations')
        .select('token_hash')
        .where('expires_at', '<=', beforeMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      const hashes = ended.map(({ token_hash }) => token_hash);
      if (hashes.length > 0)
        await queries.deleteFrom('invitations').where('token_hash', 'in', hashes).execute();
      return hashes.length;
    },
  };
}

interface MemberRow {
  readonly user_id: UserId;
  readonly role: string;
  readonly created_at: number;
}

function roleOf(text: string): UserRole {
  const role = USER_ROLES.find((known) => known === text);
  assert(role, 'a stored role is unknown');
  return role;
}

function invitationOf(row: {
  readonly id: InvitationId;
  readonly tenant_id: TenantId;
  readonly email: string;
  readonly role: string;
  readonly invited_by: UserId;
  readonly created_at: number;
  readonly sent_at: number;
  readonly expires_at: number;
}): Invitation {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    email: row.email,
    role: roleOf(row.role),
    invitedBy: row.invited_by,
    createdAtMs: row.created_at,
    sentAtMs: row.sent_at,
    expiresAtMs: row.expires_at,
  };
}
