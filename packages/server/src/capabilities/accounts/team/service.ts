import type { Clock } from '../../../kernel/clock.js';
import { notFound } from '../../../kernel/errors.js';
import type { TenantId, UserId } from '../../../kernel/ids.js';
import {
  type Actor,
  actorOf,
  type Caller,
  type SessionCaller,
  USER_ROLES,
  type UserRole,
} from '../../../kernel/principal.js';
import type { Generations } from '../../../platform/cache/generations.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { PageOptions } from '../../../platform/http/pagination.js';
import type { Page } from '../../../platform/http/route.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { userActor, userEntry } from '../audit.js';
import { createMagicLinkStore } from '../magic-links/store.js';
import { credentialGeneration } from '../service.js';
import { createSessionStore } from '../sessions/store.js';
import { lastOwner, ownersChangeOwners, ownersMakeOwners } from './errors.js';
import { rolesOutOfReach } from './roles.js';
import { createTeamStore, type TeamMember } from './store.js';

export interface TeamDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly generations: Pick<Generations, 'bump'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  /** What clients hold in that tenant on behalf of that user ends (auth.md §2.6); how many tokens. */
  revokeTokens(tx: Transaction, tenantId: TenantId, userId: UserId): Promise<number>;
}

/** Who belongs to a tenant. Each change holds the tenant's row, so that of two at once one sees the other. */
export interface Team {
  list(caller: Caller, options: PageOptions): Promise<Page<TeamMember>>;
  changeRole(caller: Caller, userId: UserId, role: UserRole): Promise<TeamMember>;
  /** Its access is gone with the commit; sessions end where the user belongs to no tenant any more. */
  remove(caller: Caller, userId: UserId): Promise<{ readonly deleted: true }>;
  /** The same by the member itself, whatever its role: nobody needs another's leave to go. */
  leave(caller: SessionCaller, tenantId: TenantId): Promise<void>;
}

export function createTeam({ db, clock, generations, auditLogs, revokeTokens }: TeamDeps): Team {
  const store = createTeamStore(db);
  const sessions = createSessionStore(db);
  const magicLinks = createMagicLinkStore(db);

  /** The member, once it is known that the caller may touch it: as both are at this moment. */
  async function touch(tx: Transaction, caller: Caller, userId: UserId): Promise<TeamMember> {
    const { scope, userId: by } = caller.principal;
    await tx.lock('tenants', scope.tenantId);
    const member = await store.find(scope.tenantId, userId, tx);
    if (!member) throw notFound('Member');
    if (member.role === 'owner' && !(await isOwner(tx, scope.tenantId, by))) throw ownersChangeOwners();
    return member;
  }

  async function isOwner(tx: Transaction, tenantId: TenantId, userId: UserId | null): Promise<boolean> {
    return userId !== null && (await store.find(tenantId, userId, tx))?.role === 'owner';
  }

  async function requireAnotherOwner(tx: Transaction, tenantId: TenantId, member: TeamMember): Promise<void> {
    if (member.role === 'owner' && (await store.count(tenantId, 'owner', tx)) === 1) throw lastOwner();
  }

  async function takeOut(tx: Transaction, tenantId: TenantId, member: TeamMember, actor: Actor) {
    const { userId, role } = member;
    await requireAnotherOwner(tx, tenantId, member);
    await store.remove(tx, tenantId, userId);
    await magicLinks.removeOfUser(tx, userId);
    // Else a link that it has sent to another address of its own would bring it back.
    const invitations = await store.removeInvitationsBy(tx, tenantId, userId, USER_ROLES);
    const tokens = await revokeTokens(tx, tenantId, userId);
    await generations.bump(tx, credentialGeneration(tenantId));
    const left = await sessions.membershipsOf(userId, tx);
    const ended = left.length === 0 ? await sessions.revokeAll(tx, userId, clock.nowMs()) : 0;
    const details = { role, oauth_tokens: tokens, sessions_ended: ended, invitations_revoked: invitations };
    await auditLogs.record(tx, actor, userEntry('team.remove', userId, details));
  }

  return {
    async list({ principal }, options) {
      const { tenantId } = principal.scope;
      const [rows, total] = await Promise.all([store.list(tenantId, options), store.count(tenantId, null)]);
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    changeRole(caller, userId, role) {
      const { tenantId } = caller.principal.scope;
      return db.transaction(async (tx) => {
        const member = await touch(tx, caller, userId);
        if (role === 'owner' && !(await isOwner(tx, tenantId, caller.principal.userId)))
          throw ownersMakeOwners();
        if (role !== 'owner') await requireAnotherOwner(tx, tenantId, member);
        await store.setRole(tx, tenantId, userId, role);
        const invitations = await store.removeInvitationsBy(tx, tenantId, userId, rolesOutOfReach(role));
        // What clients may do for the user is kept for a moment by each process.
        await generations.bump(tx, credentialGeneration(tenantId));
        const details = { from: member.role, to: role, invitations_revoked: invitations };
        await auditLogs.record(tx, actorOf(caller), userEntry('team.role_change', userId, details));
        const changed = { ...member, role };
        await recordAnswer(tx, caller, changed);
        return changed;
      });
    },

    remove(caller, userId) {
      const { tenantId } = caller.principal.scope;
      return db.transaction(async (tx) => {
        await takeOut(tx, tenantId, await touch(tx, caller, userId), actorOf(caller));
        const answer = { deleted: true } as const;
        await recordAnswer(tx, caller, answer);
        return answer;
      });
    },

    async leave(caller, tenantId) {
      const { userId } = caller;
      await db.transaction(async (tx) => {
        await tx.lock('tenants', tenantId);
        const member = await store.find(tenantId, userId, tx);
        if (!member) throw notFound('Tenant');
        await takeOut(tx, tenantId, member, userActor(tenantId, userId, caller));
      });
    },
  };
}
