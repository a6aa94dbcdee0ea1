import type { Secret } from '../../kernel/secret.js';
import type { PasswordHasher } from '../../platform/crypto/password-hash.js';
import type { Mailer } from '../../platform/mail/mail.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { createFactors, type FactorsDeps } from './factors/service.js';
import { createVerifyProof } from './factors/verify.js';
import { createMagicLinks } from './magic-links/service.js';
import { createChangeOwnPassword } from './own-password.js';
import { createPasskeys, type PasskeysDeps } from './passkeys/service.js';
import { createSessions, type Sessions, type SessionsDeps } from './sessions/service.js';
import { createSignInAttempts } from './sign-in-attempts/service.js';
import { createFailures, type FailuresDeps } from './sign-ins/failures.js';
import { createSignIns } from './sign-ins/service.js';
import { createStepUps } from './step-up/service.js';
import { createStepUpTokens } from './step-up/tokens.js';
import { createInvitations } from './team/invitations.js';
import { createVisitorWrites } from './visitor-writes.js';

export interface AuthDeps
  extends SessionsDeps,
    FailuresDeps,
    Pick<PasskeysDeps, 'origins'>,
    Pick<FactorsDeps, 'underRootKey'> {
  readonly auditLogs: Pick<AuditLogs, 'record' | 'insertion'>;
  readonly passwords: PasswordHasher;
  readonly mailer: Pick<Mailer, 'send'>;
  /** What links begin with. */
  origin(): string;
}

export type Auth = ReturnType<typeof createAuth>;

/** How users prove who they are, and what that gives them. */
export function createAuth(deps: AuthDeps) {
  const { db, clock } = deps;
  const sessions: Sessions = createSessions(deps);
  const attempts = createSignInAttempts({ db, clock, visitorWrites: createVisitorWrites(db) });
  const failures = createFailures(deps);
  const recordFailure = failures.record;
  const factors = createFactors({ ...deps, me: sessions.me });
  const passkeys = createPasskeys({ ...deps, factors, me: sessions.me });
  const verify = createVerifyProof(factors, passkeys);
  const proving = { ...deps, attempts, factors, passkeys, verify, recordFailure, sessions };
  const signIns = createSignIns(proving);
  const magicLinks = createMagicLinks({ ...deps, signIns, visitorWrites: createVisitorWrites(db) });
  const stepUpTokens = createStepUpTokens(deps);
  const stepUps = createStepUps({ ...proving, tokens: stepUpTokens });
  const changePassword = createChangeOwnPassword({ ...proving, signIns, magicLinks, stepUps: stepUpTokens });

  const invitations = createInvitations(proving);

  return {
    sessions,
    invitations,
    signIns,
    magicLinks,
    factors,
    passkeys,
    stepUps,
    stepUpTokens,
    changePassword,

    /** Writes what was to be written later. */
    flush: () => failures.flush(),

    /** For the start that changes the root key: who is signed in stays so, and code apps stay good. */
    async changeRootKey(former: Secret<Buffer>): Promise<void> {
      await sessions.changeRootKey(former);
      await factors.changeRootKey(former);
    },

    /** Rows that are over, at most `rowsMax` of each kind. */
    async removeEnded(rowsMax: number): Promise<{ readonly rows: number; readonly hasMore: boolean }> {
      const removed = [];
      for (const part of [sessions, attempts, signIns, magicLinks, stepUpTokens, passkeys, invitations])
        removed.push(await part.removeEnded(rowsMax));
      const rows = removed.reduce((sum, count) => sum + count);
      return { rows, hasMore: removed.includes(rowsMax) };
    },
  };
}
