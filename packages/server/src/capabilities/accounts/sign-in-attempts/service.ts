import type { Clock } from '../../../kernel/clock.js';
import { type AppError, rateLimitExceeded } from '../../../kernel/errors.js';
import type { UserId } from '../../../kernel/ids.js';
import { networkOf } from '../../../kernel/ip-address.js';
import { LIMITS } from '../../../kernel/limits.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { VisitorWrites } from '../visitor-writes.js';
import { type AttemptRule, createSignInAttemptStore } from './store.js';

export interface SignInAttemptsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly visitorWrites: VisitorWrites;
}

/** Who tries to sign in, and from where; the account need not exist. */
export interface Attempt {
  /** Null where the account is not known before the proof is: then the address alone counts. */
  readonly emailFolded: string | null;
  readonly ip: string | null;
  /** Of a code of few digits: then those from all addresses together are bounded too. */
  readonly codeOf?: UserId;
}

/**
 * The lock of auth.md §7: 5 failures of an account from an address lock it there for 15 minutes. An attempt counts before
 * the password is looked at, so that many at once get no more guesses than one after the other, and the count is in the
 * database, so that neither a restart nor another process gives new ones.
 */
export interface SignInAttempts {
  /** Throws when there may be no further one now; true = the last before the lock. */
  begin(attempt: Attempt): Promise<{ readonly isLast: boolean }>;
  /** In the transaction of the sign-in that it turned out to be. */
  succeed(tx: Transaction, attempt: Attempt): Promise<void>;
  /** It was right, and is but the first half: those that failed stay counted, else each password gave new codes to try. */
  takeBack(tx: Transaction, attempt: Attempt): Promise<void>;
  removeEnded(rowsMax: number): Promise<number>;
}

const OF_ACCOUNT = { max: LIMITS.signInFailuresMax, windowMs: LIMITS.signInLockMs };
/** Many accounts from one address: a list of stolen passwords, or an office behind one. */
const OF_ADDRESS = { max: LIMITS.signInsPerAddressMax, windowMs: LIMITS.signInLockMs };
/** One account from many addresses, by somebody who has its password. */
const OF_CODES = { max: LIMITS.codeFailuresMax, windowMs: LIMITS.codeLockMs };

interface Counted {
  readonly subject: Buffer;
  readonly rule: AttemptRule;
}

export function createSignInAttempts({ db, clock, visitorWrites }: SignInAttemptsDeps): SignInAttempts {
  const store = createSignInAttemptStore(db);

  /** Who is locked is turned away by a read: the one writer of an embedded database is everybody's. */
  async function refuseLocked({ subject, rule }: Counted, nowMs: number): Promise<void> {
    const window = await store.read(subject, nowMs);
    if (window && window.attempts >= rule.max) throw tooManySignIns(window.expiresAtMs - nowMs);
  }

  return {
    async begin(attempt) {
      const nowMs = clock.nowMs();
      const { address, account, codes } = subjectsOf(attempt);
      const all = [address, ...account, ...codes];
      for (const counted of all) await refuseLocked(counted, nowMs);
      const { isLast, waitMs } = await visitorWrites(async (tx) => {
        let isLast = false;
        for (const { subject, rule } of all) {
          const { attempts, expiresAtMs } = await store.count(tx, subject, rule, nowMs);
          // Whoever is over the first bound must not lock the accounts of others.
          if (attempts > rule.max) return { isLast, waitMs: expiresAtMs - nowMs };
          if (rule === OF_ACCOUNT) isLast = attempts === rule.max;
        }
        return { isLast, waitMs: null };
      });
      if (waitMs !== null) throw tooManySignIns(waitMs);
      return { isLast };
    },

    async succeed(tx, attempt) {
      const { address, account, codes } = subjectsOf(attempt);
      await store.discount(tx, address.subject);
      for (const { subject } of [...account, ...codes]) await store.forget(tx, subject);
    },

    async takeBack(tx, attempt) {
      const { address, account } = subjectsOf(attempt);
      for (const { subject } of [address, ...account]) await store.discount(tx, subject);
    },

    removeEnded: (rowsMax) => db.transaction((tx) => store.removeEnded(tx, clock.nowMs(), rowsMax)),
  };
}

/** The same answer for an account that does not exist (auth.md §7). */
function tooManySignIns(waitMs: number): AppError {
  return rateLimitExceeded('Too many failed sign-ins; try again later', { retryAfterSeconds: waitMs / 1000 });
}

function subjectsOf({ emailFolded, ip, codeOf }: Attempt) {
  const network = networkOf(ip);
  return {
    address: { subject: sha256(`address\0${network}`), rule: OF_ADDRESS },
    account:
      emailFolded === null
        ? []
        : [{ subject: sha256(`account\0${emailFolded}\0${network}`), rule: OF_ACCOUNT }],
    codes: codeOf === undefined ? [] : [{ subject: sha256(`codes\0${codeOf}`), rule: OF_CODES }],
  };
}
