import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server';
import { validationError } from '../../../kernel/errors.js';
import type { SessionCaller } from '../../../kernel/principal.js';
import type { Secret } from '../../../kernel/secret.js';
import type { PasswordHasher } from '../../../platform/crypto/password-hash.js';
import type { Database } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { recordOfUser } from '../audit.js';
import { factorNotRight } from '../errors.js';
import type { Factors } from '../factors/service.js';
import type { FactorMethod, ProvenFactor } from '../factors/types.js';
import type { FactorProof, VerifyProof } from '../factors/verify.js';
import type { ChallengeFor } from '../passkeys/challenges.js';
import type { Passkeys } from '../passkeys/service.js';
import { createSessionStore } from '../sessions/store.js';
import type { SignInAttempts } from '../sign-in-attempts/service.js';
import type { RecordFailure } from '../sign-ins/failures.js';
import { foldEmail } from '../store.js';
import type { IssuedStepUp, StepUpTokens } from './tokens.js';

export interface StepUpsDeps {
  readonly db: Database;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly passwords: PasswordHasher;
  readonly attempts: SignInAttempts;
  readonly factors: Pick<Factors, 'methodsOf'>;
  readonly passkeys: Pick<Passkeys, 'options'>;
  readonly verify: VerifyProof;
  readonly tokens: Pick<StepUpTokens, 'issue'>;
  readonly recordFailure: RecordFailure;
}

export type StepUpProof = FactorProof | { readonly method: 'password'; readonly password: Secret<string> };

/** A signed-in user proves itself anew (auth.md §7). */
export interface StepUps {
  /** By which the caller can; the password alone where there is nothing stronger. */
  methodsOf(caller: SessionCaller): Promise<(FactorMethod | 'password')[]>;
  /** What a browser asks a passkey for; null where the user has none. */
  passkeyOptions(caller: SessionCaller): Promise<PublicKeyCredentialRequestOptionsJSON | null>;
  /** What is wrong counts as at a sign-in. */
  prove(caller: SessionCaller, proof: StepUpProof): Promise<IssuedStepUp>;
}

export function createStepUps(deps: StepUpsDeps): StepUps {
  const { db, auditLogs, passwords, attempts, factors, passkeys, verify, tokens, recordFailure } = deps;
  const users = createSessionStore(db);

  async function methodsOf({ userId }: SessionCaller): Promise<(FactorMethod | 'password')[]> {
    const methods = await factors.methodsOf(userId);
    return methods.length === 0 ? ['password'] : methods;
  }

  return {
    methodsOf,

    async passkeyOptions(caller) {
      const methods = await methodsOf(caller);
      return methods.includes('webauthn') ? passkeys.options(caller.userId, challengeOf(caller)) : null;
    },

    async prove(caller, proof) {
      const { userId, tenantId } = caller;
      const methods = await methodsOf(caller);
      if (!methods.includes(proof.method))
        throw validationError('method', `must be one of those that this user has: ${methods.join(', ')}`);
      const found = await users.findUser(userId);
      if (!found) throw factorNotRight();
      const isCode = proof.method !== 'password';
      const attempt = {
        emailFolded: foldEmail(found.user.email),
        ip: caller.ip,
        ...(isCode && { codeOf: userId }),
      };
      if (!isCode) passwords.admit();
      const { isLast } = await attempts.begin(attempt);
      const proven = isCode
        ? await verify(userId, proof, challengeOf(caller))
        : await ofPassword(await passwords.verify(found.passwordHash, proof.password));
      const fail = () => {
        recordFailure(found.user.id, caller, { method: proof.method, locked: isLast });
        return factorNotRight();
      };
      if (!proven) throw fail();
      const all = found.memberships.map((membership) => membership.tenantId);
      const of = { tenants: tenantId === null ? all : [tenantId], userId, visitor: caller };
      return db.transaction(async (tx) => {
        if (!(await proven.use(tx))) throw fail();
        await attempts.succeed(tx, attempt);
        await recordOfUser(tx, auditLogs, of, 'auth.step_up', { method: proof.method });
        return tokens.issue(tx, caller);
      });
    },
  };

  async function ofPassword(matches: boolean): Promise<ProvenFactor | undefined> {
    return matches ? { amr: ['pwd'], use: async () => true } : undefined;
  }
}

function challengeOf({ userId, sessionId }: SessionCaller): ChallengeFor {
  return { purpose: 'step_up', subject: `${userId}\0${sessionId}` };
}
