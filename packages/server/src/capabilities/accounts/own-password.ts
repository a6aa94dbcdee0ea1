import { validationError } from '../../kernel/errors.js';
import type { SessionCaller } from '../../kernel/principal.js';
import type { Secret } from '../../kernel/secret.js';
import type { PasswordHasher } from '../../platform/crypto/password-hash.js';
import type { StepUpCheck } from '../../platform/http/step-up.js';
import type { Database } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { recordOfUser } from './audit.js';
import { passwordNotRight } from './errors.js';
import type { MagicLinks } from './magic-links/service.js';
import type { Sessions } from './sessions/service.js';
import { createSessionStore } from './sessions/store.js';
import type { SignInAttempts } from './sign-in-attempts/service.js';
import type { RecordFailure } from './sign-ins/failures.js';
import type { SignIns } from './sign-ins/service.js';
import { foldEmail } from './store.js';

export interface OwnPasswordDeps {
  readonly db: Database;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly passwords: PasswordHasher;
  readonly attempts: SignInAttempts;
  readonly sessions: Pick<Sessions, 'endOthers'>;
  readonly signIns: Pick<SignIns, 'dropPending'>;
  readonly magicLinks: Pick<MagicLinks, 'dropOpen'>;
  readonly stepUps: Pick<StepUpCheck, 'check'>;
  readonly recordFailure: RecordFailure;
}

/** What entitles a user to it: the present password, or else a step-up. */
export interface PasswordChange {
  readonly present: Secret<string> | null;
  readonly stepUp: string | undefined;
  readonly next: Secret<string>;
}

/** Ends all other sessions of the user; how many. */
export type ChangeOwnPassword = (caller: SessionCaller, change: PasswordChange) => Promise<number>;

const STEP_UP = { maxAgeSeconds: 300 };

export function createChangeOwnPassword(deps: OwnPasswordDeps): ChangeOwnPassword {
  const { db, auditLogs, passwords, attempts, sessions, signIns, magicLinks, stepUps, recordFailure } = deps;
  const users = createSessionStore(db);

  return async (caller, { present, stepUp, next }) => {
    const { userId, sessionId } = caller;
    if (present === null) await stepUps.check(caller, stepUp, STEP_UP);
    passwords.admit();
    const found = await users.findUser(userId);
    if (!found) throw passwordNotRight();
    const { user, memberships, passwordHash } = found;
    const attempt = { emailFolded: foldEmail(user.email), ip: caller.ip };
    if (present !== null) {
      const { isLast } = await attempts.begin(attempt);
      if (!(await passwords.verify(passwordHash, present))) {
        recordFailure(userId, caller, { method: 'password', locked: isLast });
        throw passwordNotRight();
      }
      if (present.reveal() === next.reveal())
        throw validationError('new_password', 'must differ from the present one');
    }
    const hash = await passwords.hash(next);
    const tenants = memberships.map(({ tenantId }) => tenantId);
    return db.transaction(async (tx) => {
      // Of two changes at once the first one counts.
      if (!(await users.hasPasswordHash(tx, userId, passwordHash))) throw passwordNotRight();
      if (present !== null) await attempts.succeed(tx, attempt);
      await users.setPasswordHash(tx, userId, hash);
      // Links first: one that is being used is waited for, and what it has begun or opened ends with the others.
      await magicLinks.dropOpen(tx, userId);
      await signIns.dropPending(tx, userId);
      const ended = await sessions.endOthers(tx, userId, sessionId);
      const details = { session_id: sessionId, sessions_ended: ended };
      await recordOfUser(
        tx,
        auditLogs,
        { tenants, userId, visitor: caller },
        'auth.password.change',
        details,
      );
      return ended;
    });
  };
}
