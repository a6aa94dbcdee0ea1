import type { Clock } from '../../../kernel/clock.js';
import { type AppError, rateLimitExceeded } from '../../../kernel/errors.js';
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
  readonly emailFolded: string;
  readonly ip: string | null;
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
  removeEnded(tx: Transaction, rowsMax: number): Promise<number>;
}

const OF_ACCOUNT = { max: LIMITS.signInFailuresMax, windowMs: LIMITS.signInLockMs };
/** Many accounts from one address: a list of stolen passwords, or an office behind one. */
const OF_ADDRESS = { max: LIMITS.signInsPerAddressMax, windowMs: LIMITS.signInLockMs };

export function createSignInAttempts({ db, clock, visitorWrites }: SignInAttemptsDeps): SignInAttempts {
  const store = createSignInAttemptStore(db);

  /** Who is locked is turned away by a read: the one writer of an embedded database is everybody's. */
  async function refuseLocked(subject: Buffer, { max }: AttemptRule, nowMs: number): Promise<void> {
    const window = await store.read(subject, nowMs);
    if (window && window.attempts >= max) throw tooManySignIns(window.expiresAtMs - nowMs);
  }

  return {
    async begin(attempt) {
      const nowMs = clock.nowMs();
      const { address, account } = subjectsOf(attempt);
      await refuseLocked(address, OF_ADDRESS, nowMs);
      await refuseLocked(account, OF_ACCOUNT, nowMs);
      const [ofAddress, ofAccount] = await visitorWrites(async (tx) => {
        const counted = await store.count(tx, address, OF_ADDRESS, nowMs);
        // Whoever is over the first bound must not lock the accounts of others.
        if (counted.attempts > OF_ADDRESS.max) return [counted, null];
        return [counted, await store.count(tx, account, OF_ACCOUNT, nowMs)];
      });
      if (ofAccount === null) throw tooManySignIns(ofAddress.expiresAtMs - nowMs);
      if (ofAccount.attempts > OF_ACCOUNT.max) throw tooManySignIns(ofAccount.expiresAtMs - nowMs);
      return { isLast: ofAccount.attempts === OF_ACCOUNT.max };
    },

    async succeed(tx, attempt) {
      const { address, account } = subjectsOf(attempt);
      await store.discount(tx, address);
      await store.forget(tx, account);
    },

    removeEnded: (tx, rowsMax) => store.removeEnded(tx, clock.nowMs(), rowsMax),
  };
}

/** The same answer for an account that does not exist (auth.md §7). */
function tooManySignIns(waitMs: number): AppError {
  return rateLimitExceeded('Too many failed sign-ins; try again later', { retryAfterSeconds: waitMs / 1000 });
}

function subjectsOf({ emailFolded, ip }: Attempt): { address: Buffer; account: Buffer } {
  const network = networkOf(ip);
  return {
    address: sha256(`address\0${network}`),
    account: sha256(`account\0${emailFolded}\0${network}`),
  };
}
