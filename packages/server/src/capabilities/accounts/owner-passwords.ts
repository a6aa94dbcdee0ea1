import type { Clock } from '../../kernel/clock.js';
import { notFound } from '../../kernel/errors.js';
import type { Secret } from '../../kernel/secret.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Database } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { userEntry } from './audit.js';
import { createFactorStore } from './factors/store.js';
import { createMagicLinkStore } from './magic-links/store.js';
import { hashOfNewPassword, newPassword } from './passwords.js';
import { systemActor } from './service.js';
import { createSessionStore } from './sessions/store.js';
import { createPendingSignInStore } from './sign-ins/store.js';
import { createAccountsStore, foldEmail } from './store.js';

export interface OwnerPasswordsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
}

export interface PasswordReset {
  readonly email: string;
  readonly password: Secret<string>;
  readonly sessionsEnded: number;
  /** Second factors that the user still needs beside it. */
  readonly factorsLeft: boolean;
}

/** For the operator, on the server itself: whoever may run commands there reads the database anyway. */
export interface OwnerPasswords {
  /** Addresses of the Owners of the tenant of the first start. */
  listOperators(): Promise<string[]>;
  /**
   * Gives an Owner of any tenant a new password and ends all of its sessions; 404 where there is no such Owner. Its
   * second factors stay unless `removeFactors` says that they are lost.
   */
  reset(email: string, removeFactors?: boolean): Promise<PasswordReset>;
}

export function createOwnerPasswords({ db, clock, random, auditLogs }: OwnerPasswordsDeps): OwnerPasswords {
  const store = createAccountsStore(db);
  const sessions = createSessionStore(db);
  const factors = createFactorStore(db);
  const pending = createPendingSignInStore(db);
  const magicLinks = createMagicLinkStore(db);

  return {
    listOperators: () => store.listBootstrapOwners(),

    async reset(email, removeFactors = false) {
      const { user } = (await sessions.findCredentials(foldEmail(email))) ?? {};
      const memberships = user ? await sessions.membershipsOf(user.id) : [];
      if (!user || !memberships.some(({ role }) => role === 'owner')) throw notFound('Owner');
      const password = newPassword(random);
      const hash = await hashOfNewPassword(password);
      return db.transaction(async (tx) => {
        await sessions.setPasswordHash(tx, user.id, hash);
        await magicLinks.removeOfUser(tx, user.id);
        await pending.removeOfUser(tx, user.id);
        const sessionsEnded = await sessions.revokeAll(tx, user.id, clock.nowMs());
        const entries = [userEntry('user.password_reset', user.id, { sessions_ended: sessionsEnded })];
        if (removeFactors) {
          const removed = await factors.removeAll(tx, user.id);
          entries.push(userEntry('auth.mfa.remove', user.id, { method: 'all', ...removed }));
        }
        for (const { tenantId } of await sessions.membershipsOf(user.id, tx))
          for (const entry of entries) await auditLogs.record(tx, systemActor(tenantId), entry);
        const { totpSinceMs, passkeys } = await factors.enrolled(user.id, tx);
        const factorsLeft = totpSinceMs !== null || passkeys > 0;
        return { email: user.email, password, sessionsEnded, factorsLeft };
      });
    },
  };
}
