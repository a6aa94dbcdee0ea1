import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server';
import type { Clock } from '../../../kernel/clock.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Secret } from '../../../kernel/secret.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import { newOpaqueToken } from '../../../platform/crypto/opaque-token.js';
import type { PasswordHasher } from '../../../platform/crypto/password-hash.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { factorNotRight, invalidCredentials, signInNotPending } from '../errors.js';
import type { Factors } from '../factors/service.js';
import type { FactorMethod } from '../factors/types.js';
import type { FactorProof, VerifyProof } from '../factors/verify.js';
import type { ChallengeFor } from '../passkeys/challenges.js';
import type { Passkeys } from '../passkeys/service.js';
import type { Device, OpenSession, ProvenUser, Sessions } from '../sessions/service.js';
import { createSessionStore } from '../sessions/store.js';
import type { SignInAttempts } from '../sign-in-attempts/service.js';
import { foldEmail } from '../store.js';
import type { RecordFailure } from './failures.js';
import { createPendingSignInStore } from './store.js';

export interface SignInsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly passwords: PasswordHasher;
  readonly attempts: SignInAttempts;
  readonly sessions: Pick<Sessions, 'open'>;
  readonly factors: Pick<Factors, 'methodsOf'>;
  readonly passkeys: Pick<Passkeys, 'options' | 'verify' | 'ownerOf'>;
  readonly verify: VerifyProof;
  readonly recordFailure: RecordFailure;
}

/** Another factor is due before there is a session. */
export interface SecondFactorDue {
  readonly kind: 'second_factor';
  /** For `finish`, once, within `tokenSeconds`. */
  readonly mfaToken: Secret<string>;
  readonly tokenSeconds: number;
  readonly methods: readonly FactorMethod[];
}

export type SignInOutcome = { readonly kind: 'open'; readonly session: OpenSession } | SecondFactorDue;

export interface SignInOptions {
  /** For a page where a user says one thing and goes: nothing renews the session. */
  readonly isBrief?: boolean;
}

/** `isComplete`: no other factor is due. What it throws leaves nothing written. */
export type UseProof = (tx: Transaction, isComplete: boolean) => Promise<void>;

export interface SignIns {
  signIn(
    email: string,
    password: Secret<string>,
    device: Device,
    options?: SignInOptions,
  ): Promise<SignInOutcome>;
  /**
   * For every first factor, a password or a link in a mail: a session where no other factor is enrolled. `useProof` runs
   * in the transaction that opens the session or notes that the sign-in is pending.
   */
  finishSignIn(first: ProvenUser, useProof: UseProof): Promise<SignInOutcome>;
  /** The second factor of a sign-in that is pending; a wrong one counts as a wrong password does. */
  finish(mfaToken: Secret<string>, proof: FactorProof, device: Device): Promise<OpenSession>;
  /** What a browser asks a passkey for: to finish that sign-in, or, for null, to sign in whoever has one. */
  passkeyOptions(mfaToken: Secret<string> | null): Promise<PublicKeyCredentialRequestOptionsJSON>;
  /** Without address and password. */
  signInByPasskey(response: AuthenticationResponseJSON, device: Device): Promise<OpenSession>;
  /** In the transaction that changes a password: what the former one has begun ends. */
  dropPending(tx: Transaction, userId: ProvenUser['user']['id']): Promise<void>;
  removeEnded(rowsMax: number): Promise<number>;
}

const PASSWORD = ['pwd'];
/** RFC 8176: more than one factor. */
const SEVERAL = 'mfa';

const OF_ANYBODY: ChallengeFor = { purpose: 'sign_in', subject: '' };

function challengeOf(pendingHash: Buffer): ChallengeFor {
  return { purpose: 'sign_in', subject: pendingHash.toString('hex') };
}

export function createSignIns(deps: SignInsDeps): SignIns {
  const { db, clock, random, passwords, attempts, sessions, factors, passkeys, verify, recordFailure } = deps;
  const users = createSessionStore(db);
  const store = createPendingSignInStore(db);

  async function finishSignIn(first: ProvenUser, useProof: UseProof): Promise<SignInOutcome> {
    const { user, amr, isBrief } = first;
    const methods = await factors.methodsOf(user.id);
    if (methods.length === 0)
      return { kind: 'open', session: await sessions.open(first, (tx) => useProof(tx, true)) };
    const { token: mfaToken, hash } = newOpaqueToken(random);
    const createdAtMs = clock.nowMs();
    const expiresAtMs = createdAtMs + LIMITS.pendingSignInMs;
    const pending = { hash, userId: user.id, amr, isBrief, createdAtMs, expiresAtMs };
    await db.transaction(async (tx) => {
      await useProof(tx, false);
      await store.insert(tx, pending);
      await store.removeOldest(tx, user.id, LIMITS.pendingSignInsPerUserMax);
    });
    const tokenSeconds = LIMITS.pendingSignInMs / 1000;
    return { kind: 'second_factor', mfaToken, tokenSeconds, methods };
  }

  return {
    finishSignIn,

    async signIn(email, password, device, { isBrief = false } = {}) {
      const attempt = { emailFolded: foldEmail(email), ip: device.ip };
      passwords.admit();
      const { isLast } = await attempts.begin(attempt);
      const found = await users.findCredentials(attempt.emailFolded);
      const matches = await passwords.verify(found?.passwordHash ?? null, password);
      if (!found || !matches) {
        recordFailure(found?.user.id, device, { method: 'password', locked: isLast });
        throw invalidCredentials();
      }
      const { user, passwordHash } = found;
      const memberships = await users.membershipsOf(user.id);
      const renewed = passwords.isOutdated(passwordHash) ? await passwords.hash(password) : null;
      const first = { user, memberships, amr: PASSWORD, device, isBrief };
      return finishSignIn(first, async (tx, isComplete) => {
        // It was reset since it was checked, and the sessions of then were ended.
        if (!(await users.hasPasswordHash(tx, user.id, passwordHash))) throw invalidCredentials();
        await (isComplete ? attempts.succeed(tx, attempt) : attempts.takeBack(tx, attempt));
        if (renewed) await users.replacePasswordHash(tx, user.id, passwordHash, renewed);
      });
    },

    async finish(mfaToken, proof, device) {
      const pending = await store.find(sha256(mfaToken.reveal()), clock.nowMs());
      const found = pending && (await users.findUser(pending.userId));
      if (!found) throw signInNotPending();
      const { user, memberships } = found;
      const attempt = { emailFolded: foldEmail(user.email), ip: device.ip, codeOf: user.id };
      const { isLast } = await attempts.begin(attempt);
      const proven = await verify(user.id, proof, challengeOf(pending.hash));
      const fail = () => {
        recordFailure(user.id, device, { method: proof.method, locked: isLast });
        return factorNotRight();
      };
      if (!proven) throw fail();
      const { isBrief } = pending;
      const amr = [...new Set([...pending.amr, ...proven.amr, SEVERAL])];
      return sessions.open({ user, memberships, amr, device, isBrief }, async (tx) => {
        if (!(await store.use(tx, pending.hash))) throw signInNotPending();
        if (!(await proven.use(tx))) throw fail();
        await attempts.succeed(tx, attempt);
      });
    },

    async passkeyOptions(mfaToken) {
      if (mfaToken === null) return passkeys.options(null, OF_ANYBODY);
      const pending = await store.find(sha256(mfaToken.reveal()), clock.nowMs());
      if (!pending) throw signInNotPending();
      return passkeys.options(pending.userId, challengeOf(pending.hash));
    },

    async signInByPasskey(response, device) {
      const attempt = { emailFolded: null, ip: device.ip };
      await attempts.begin(attempt);
      const proven = await passkeys.verify(null, response, OF_ANYBODY);
      const owner = proven?.userId ?? (await passkeys.ownerOf(response.id));
      const found = owner && (await users.findUser(owner));
      const fail = () => {
        recordFailure(found?.user.id, device, { method: 'webauthn', locked: false });
        return factorNotRight();
      };
      if (!proven || !found) throw fail();
      const { user, memberships } = found;
      // The device has asked its user for a code or a finger: more than one factor by itself.
      const amr = [...proven.amr, SEVERAL];
      return sessions.open({ user, memberships, amr, device, isBrief: false }, async (tx) => {
        if (!(await proven.use(tx))) throw fail();
        await attempts.succeed(tx, attempt);
      });
    },

    dropPending: (tx, userId) => store.removeOfUser(tx, userId),

    removeEnded: (rowsMax) => db.transaction((tx) => store.removeEnded(tx, clock.nowMs(), rowsMax)),
  };
}
