import type { Clock } from '../../../kernel/clock.js';
import { notFound, validationError } from '../../../kernel/errors.js';
import type { IdSource, InvitationId, TenantId, UserId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { actorOf, type Caller, type UserRole, type Visitor } from '../../../kernel/principal.js';
import type { Secret } from '../../../kernel/secret.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import { newOpaqueToken } from '../../../platform/crypto/opaque-token.js';
import type { PasswordHasher } from '../../../platform/crypto/password-hash.js';
import type { Random } from '../../../platform/crypto/random.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { PageOptions } from '../../../platform/http/pagination.js';
import type { Page } from '../../../platform/http/route.js';
import { isMailAddress, type Mailer } from '../../../platform/mail/mail.js';
import { type Database, type Transaction, UniqueViolation } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { userActor, userEntry } from '../audit.js';
import { invalidCredentials } from '../errors.js';
import { refuseUnfit } from '../passwords.js';
import type { Sessions } from '../sessions/service.js';
import { createSessionStore } from '../sessions/store.js';
import type { SignInAttempts } from '../sign-in-attempts/service.js';
import { createSignInAttemptStore } from '../sign-in-attempts/store.js';
import type { RecordFailure } from '../sign-ins/failures.js';
import { createAccountsStore, foldEmail } from '../store.js';
import type { Tenant } from '../types.js';
import {
  accountMeanwhile,
  alreadyInvited,
  alreadyMember,
  ownersMakeOwners,
  sentJustNow,
  teamFull,
  tooManyMails,
} from './errors.js';
import { invitationMail } from './mails.js';
import { rolesOutOfReach } from './roles.js';
import { createTeamStore, type Invitation, type TeamMember } from './store.js';

export interface InvitationsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly mailer: Pick<Mailer, 'send'>;
  readonly sessions: Pick<Sessions, 'authenticate'>;
  readonly passwords: PasswordHasher;
  readonly attempts: SignInAttempts;
  readonly recordFailure: RecordFailure;
  /** What links begin with. */
  origin(): string;
}

/** How whoever holds the link proves who it is: a new account by the password that it chooses. */
export interface AcceptProof {
  readonly password: Secret<string> | null;
  /** An admin token of the account that is invited. */
  readonly token: string | null;
}

export interface Acceptance {
  readonly tenant: Pick<Tenant, 'id' | 'slug' | 'name'>;
  readonly email: string;
  readonly role: UserRole;
  readonly isNewAccount: boolean;
}

/** What the page behind the link shows. */
export interface OpenInvitation {
  readonly invitation: Invitation;
  readonly tenant: Tenant;
  /** Address of who invites. */
  readonly inviter: string;
  readonly hasAccount: boolean;
}

export interface Invitations {
  list(caller: Caller, options: PageOptions): Promise<Page<Invitation>>;
  invite(caller: Caller, email: string, role: UserRole): Promise<Invitation>;
  /** Those that ran out long ago; how many. */
  removeEnded(rowsMax: number): Promise<number>;
  /** With a new link, by the caller from now on; the former one is dead. */
  resend(caller: Caller, id: InvitationId): Promise<Invitation>;
  revoke(caller: Caller, id: InvitationId): Promise<{ readonly deleted: true }>;
  /** Uses nothing up. 404 for a link that was used, revoked, renewed, has run out, or whose sender may not invite so any more. */
  look(token: Secret<string>): Promise<OpenInvitation>;
  /** Opens no session: who accepts signs in afterwards. */
  accept(token: Secret<string>, proof: AcceptProof, visitor: Visitor): Promise<Acceptance>;
}

export function createInvitations(deps: InvitationsDeps): Invitations {
  const { db, clock, ids, random, auditLogs, mailer, passwords, attempts } = deps;
  const store = createTeamStore(db);
  const users = createSessionStore(db);
  const accounts = createAccountsStore(db);
  const counts = createSignInAttemptStore(db);

  const send = (
    invitation: Invitation,
    { name }: Pick<Tenant, 'name'>,
    by: Pick<TeamMember, 'email'>,
    token: Secret<string>,
  ) => mailer.send(invitationMail(invitation, { tenantName: name, inviter: by.email }, deps.origin(), token));

  async function tenantOf(caller: Caller): Promise<Tenant> {
    const tenant = await accounts.findTenantById(caller.principal.scope.tenantId);
    if (!tenant) throw notFound('Tenant');
    return tenant;
  }

  async function look(token: Secret<string>): Promise<OpenInvitation> {
    const invitation = await store.findInvitationByHash(sha256(token.reveal()), clock.nowMs());
    const tenant = invitation && (await accounts.findTenantById(invitation.tenantId));
    const by = tenant && (await store.find(tenant.id, invitation.invitedBy));
    if (!invitation || !tenant || !by) throw notFound('Invitation');
    const hasAccount = (await accounts.findUserId(foldEmail(invitation.email))) !== undefined;
    return { invitation, tenant, inviter: by.email, hasAccount };
  }

  /** The member that vouches for it, with the role that it has at this moment. */
  async function inviter(tx: Transaction, tenantId: TenantId, userId: UserId | null, role: UserRole) {
    const by = userId && (await store.find(tenantId, userId, tx));
    if (!by || rolesOutOfReach(by.role).includes(role)) throw ownersMakeOwners();
    return by;
  }

  /** Else whoever revokes and invites anew fills the mailbox of another, by our mail server. */
  async function countMail(tx: Transaction, by: UserId, email: string, nowMs: number): Promise<void> {
    const ofAll = { subject: `invitations\0${by}`, max: LIMITS.invitationMailsMax };
    const toOne = {
      subject: `invitations\0${by}\0${foldEmail(email)}`,
      max: LIMITS.invitationMailsToAddressMax,
    };
    for (const { subject, max } of [ofAll, toOne]) {
      const rule = { max, windowMs: LIMITS.invitationMailWindowMs };
      const { attempts: mails, expiresAtMs } = await counts.count(tx, sha256(subject), rule, nowMs);
      if (mails > max) throw tooManyMails(expiresAtMs - nowMs);
    }
  }

  /** Of an account that there is: by its session, or by its password, which counts like a sign-in. */
  async function prove(email: string, { token, password }: AcceptProof, visitor: Visitor): Promise<UserId> {
    if (token !== null) {
      const { user } = await deps.sessions.authenticate(token);
      if (foldEmail(user.email) !== foldEmail(email)) throw notFound('Invitation');
      return user.id;
    }
    if (password === null)
      throw validationError('password', 'is needed: that of the account, unless it is signed in');
    const attempt = { emailFolded: foldEmail(email), ip: visitor.ip };
    passwords.admit();
    const { isLast } = await attempts.begin(attempt);
    const found = await users.findCredentials(attempt.emailFolded);
    if (!(await passwords.verify(found?.passwordHash ?? null, password)) || !found) {
      deps.recordFailure(found?.user.id, visitor, { method: 'password', locked: isLast });
      throw invalidCredentials();
    }
    await db.transaction((tx) => attempts.takeBack(tx, attempt));
    return found.user.id;
  }

  /** In the line of the sign-ins: one link could ask for any number at once. */
  async function hashOfChosen(password: Secret<string> | null): Promise<string> {
    if (password === null) throw validationError('password', 'is needed for a new account');
    refuseUnfit(password);
    passwords.admit();
    return passwords.hash(password);
  }

  return {
    look,

    async list({ principal }, options) {
      const { tenantId } = principal.scope;
      const [rows, total] = await Promise.all([
        store.listInvitations(tenantId, options),
        store.countInvitations(tenantId),
      ]);
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    async invite(caller, email, role) {
      if (!isMailAddress(email)) throw validationError('email', 'must be one e-mail address');
      const tenant = await tenantOf(caller);
      const { scope, userId: invitedBy } = caller.principal;
      const { token, hash } = newOpaqueToken(random);
      const nowMs = clock.nowMs();
      return db.transaction(async (tx) => {
        await tx.lock('tenants', tenant.id);
        const by = await inviter(tx, scope.tenantId, invitedBy, role);
        const known = await accounts.findUserId(foldEmail(email), tx);
        if (known && (await store.find(tenant.id, known, tx))) throw alreadyMember();
        const former = await store.findInvitationTo(tx, tenant.id, foldEmail(email));
        if (former && former.expiresAtMs > nowMs) throw alreadyInvited();
        if (former) await store.removeInvitation(tx, former, null);
        const [members, open] = [
          await store.count(tenant.id, null, tx),
          await store.countInvitations(tenant.id, tx),
        ];
        if (members >= LIMITS.teamMembersMax || open >= LIMITS.invitationsMax) throw teamFull();
        await countMail(tx, by.userId, email, nowMs);
        const invitation: Invitation = {
          id: ids.uuid() as InvitationId,
          tenantId: tenant.id,
          email,
          role,
          invitedBy: by.userId,
          createdAtMs: nowMs,
          sentAtMs: nowMs,
          expiresAtMs: nowMs + LIMITS.invitationMs,
        };
        await store.insertInvitation(tx, invitation, foldEmail(email), hash);
        await auditLogs.record(tx, actorOf(caller), entryOf('team.invite', invitation));
        await recordAnswer(tx, caller, invitation);
        tx.afterCommit(() => send(invitation, tenant, by, token));
        return invitation;
      });
    },

    async resend(caller, id) {
      const tenant = await tenantOf(caller);
      const { token, hash } = newOpaqueToken(random);
      const nowMs = clock.nowMs();
      return db.transaction(async (tx) => {
        await tx.lock('tenants', tenant.id);
        const former = await store.findInvitation(tx, tenant.id, id);
        if (!former) throw notFound('Invitation');
        const by = await inviter(tx, tenant.id, caller.principal.userId, former.role);
        const waitMs = former.sentAtMs + LIMITS.invitationResendMs - nowMs;
        if (waitMs > 0) throw sentJustNow(waitMs);
        await countMail(tx, by.userId, former.email, nowMs);
        const invitation = await store.renewInvitation(tx, former, hash, {
          invitedBy: by.userId,
          nowMs,
          expiresAtMs: nowMs + LIMITS.invitationMs,
        });
        if (!invitation) throw notFound('Invitation');
        await auditLogs.record(tx, actorOf(caller), entryOf('team.invite', invitation, { again: true }));
        await recordAnswer(tx, caller, invitation);
        tx.afterCommit(() => send(invitation, tenant, by, token));
        return invitation;
      });
    },

    revoke(caller, id) {
      const { tenantId } = caller.principal.scope;
      return db.transaction(async (tx) => {
        const invitation = await store.findInvitation(tx, tenantId, id);
        if (!invitation || !(await store.removeInvitation(tx, invitation, null)))
          throw notFound('Invitation');
        await auditLogs.record(tx, actorOf(caller), entryOf('team.revoke_invitation', invitation));
        const answer = { deleted: true } as const;
        await recordAnswer(tx, caller, answer);
        return answer;
      });
    },

    async accept(token, proof, visitor) {
      const { invitation, tenant, hasAccount } = await look(token);
      const { email, role } = invitation;
      const passwordHash = hasAccount ? null : await hashOfChosen(proof.password);
      const known = hasAccount ? await prove(email, proof, visitor) : null;
      const nowMs = clock.nowMs();
      return db.transaction(async (tx) => {
        await tx.lock('tenants', tenant.id);
        // Of two uses at once one finds it gone.
        if (!(await store.removeInvitation(tx, invitation, sha256(token.reveal()))))
          throw notFound('Invitation');
        const userId = known ?? (ids.uuid() as UserId);
        if (passwordHash !== null)
          await accounts
            .insertUser(tx, { id: userId, email, passwordHash, createdAtMs: nowMs })
            .catch(refuseTaken);
        if (await store.find(tenant.id, userId, tx)) throw alreadyMember();
        const tenants = await users.membershipsOf(userId, tx);
        const members = await store.count(tenant.id, null, tx);
        if (members >= LIMITS.teamMembersMax || tenants.length >= LIMITS.tenantsPerUserMax) throw teamFull();
        await store.add(tx, tenant.id, userId, role, nowMs);
        const details = { role, invitation_id: invitation.id, new_account: known === null };
        const actor = userActor(tenant.id, userId, visitor);
        await auditLogs.record(tx, actor, userEntry('team.accept', userId, details));
        return { tenant, email, role, isNewAccount: known === null };
      });
    },

    removeEnded: (rowsMax) =>
      db.transaction((tx) => store.removeInvitations(tx, clock.nowMs() - LIMITS.invitationKeptMs, rowsMax)),
  };
}

/** The address has become an account since it was looked at. */
function refuseTaken(error: unknown): never {
  throw error instanceof UniqueViolation ? accountMeanwhile() : error;
}

/** Before anybody has accepted there is no user: the row is that of the invitation. */
function entryOf(action: string, { id, email, role }: Invitation, more: Record<string, unknown> = {}) {
  return {
    action,
    resourceType: 'user',
    resourceId: null,
    details: { invitation_id: id, email, role, ...more },
  };
}
