import { type Clock, minuteText } from '../../../kernel/clock.js';
import type { UserId } from '../../../kernel/ids.js';
import { networkOf } from '../../../kernel/ip-address.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Visitor } from '../../../kernel/principal.js';
import type { Secret } from '../../../kernel/secret.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import { newOpaqueToken } from '../../../platform/crypto/opaque-token.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Mailer } from '../../../platform/mail/mail.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { linkNotGood, tooManyLinks } from '../errors.js';
import type { Device } from '../sessions/service.js';
import { createSessionStore, type User } from '../sessions/store.js';
import { createSignInAttemptStore } from '../sign-in-attempts/store.js';
import type { SignInOutcome, SignIns } from '../sign-ins/service.js';
import { foldEmail } from '../store.js';
import type { VisitorWrites } from '../visitor-writes.js';
import { magicLinkMail } from './mails.js';
import { createMagicLinkStore } from './store.js';

export interface MagicLinksDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly mailer: Pick<Mailer, 'send'>;
  readonly signIns: Pick<SignIns, 'finishSignIn'>;
  readonly visitorWrites: VisitorWrites;
  /** The public origin of a plain address: where the mailed link leads. */
  origin(): string;
}

/** Sign-in by whoever reads the mail of an address (auth.md §7; docs/decisions/0061). */
export interface MagicLinks {
  /** Mails a link where the address has an account; the caller is told the same, after the same work, where it has none. */
  request(email: string, visitor: Visitor): Promise<void>;
  /** Whom a link signs in, which uses nothing up; throws where it is not good. */
  look(link: Secret<string>): Promise<User>;
  /** Uses the link up, and with it the others of that user. A second factor is due where one is enrolled. */
  verify(link: Secret<string>, device: Device): Promise<SignInOutcome>;
  /** In the transaction that changes a password. */
  dropOpen(tx: Transaction, userId: UserId): Promise<void>;
  removeEnded(rowsMax: number): Promise<number>;
}

/** RFC 8176 has no value for a mail, and this is neither a password nor a code (`otp`) of something the user has. */
const EMAIL = ['email'];

const WINDOW = { windowMs: LIMITS.magicLinkWindowMs };
const OF_NETWORK = { max: LIMITS.magicLinksPerNetworkMax, ...WINDOW };
const OF_ADDRESS = { max: LIMITS.magicLinkMailsPerAddressMax, ...WINDOW };

export function createMagicLinks(deps: MagicLinksDeps): MagicLinks {
  const { db, clock, random, mailer, signIns, visitorWrites } = deps;
  const store = createMagicLinkStore(db);
  const counts = createSignInAttemptStore(db);
  const users = createSessionStore(db);

  async function find(hash: Buffer) {
    const userId = await store.findUserId(hash, clock.nowMs());
    const found = userId && (await users.findUser(userId));
    if (!found) throw linkNotGood();
    return found;
  }

  /** Counts before anything is mailed, so that many at once get no more mails than one after the other. */
  function insert(
    userId: UserId | null,
    hash: Buffer,
    network: Buffer,
    address: Buffer,
    nowMs: number,
  ): Promise<{ readonly isMailed: boolean; readonly waitMs: number | null }> {
    return visitorWrites(async (tx) => {
      const ofNetwork = await counts.count(tx, network, OF_NETWORK, nowMs);
      if (ofNetwork.attempts > OF_NETWORK.max)
        return { isMailed: false, waitMs: ofNetwork.expiresAtMs - nowMs };
      // Nobody fills the mailbox of another; whoever asked is told nothing of it.
      const ofAddress = await counts.count(tx, address, OF_ADDRESS, nowMs);
      if (ofAddress.attempts > OF_ADDRESS.max) return { isMailed: false, waitMs: null };
      const link = { hash, userId, createdAtMs: nowMs, expiresAtMs: nowMs + LIMITS.magicLinkMs };
      await store.insert(tx, link);
      return { isMailed: userId !== null, waitMs: null };
    });
  }

  return {
    async request(email, visitor) {
      const nowMs = clock.nowMs();
      const emailFolded = foldEmail(email);
      const network = sha256(`links of network\0${networkOf(visitor.ip)}`);
      const address = sha256(`links to address\0${emailFolded}`);
      // Strangers are turned away by a read: the one writer of an embedded database is everybody's.
      const window = await counts.read(network, nowMs);
      if (window && window.attempts >= OF_NETWORK.max) throw tooManyLinks(window.expiresAtMs - nowMs);
      const found = await users.findCredentials(emailFolded);
      const { token: link, hash } = newOpaqueToken(random);
      const userId = found?.user.id ?? null;
      const { isMailed, waitMs } = await insert(userId, hash, network, address, nowMs);
      if (waitMs !== null) throw tooManyLinks(waitMs);
      const asked = {
        from: visitor.ip ?? 'an unknown address',
        at: minuteText(nowMs),
        origin: deps.origin(),
      };
      // To the address as the account has it, whatever else is taken for the same one.
      const mail = magicLinkMail(found?.user.email ?? email, asked, link);
      if (isMailed) mailer.send(mail);
    },

    look: async (link) => (await find(sha256(link.reveal()))).user,

    async verify(link, device) {
      const hash = sha256(link.reveal());
      const { user, memberships } = await find(hash);
      return signIns.finishSignIn({ user, memberships, amr: EMAIL, device, isBrief: false }, async (tx) => {
        const ended = await store.removeOfUser(tx, user.id);
        if (!ended.some((one) => one.equals(hash))) throw linkNotGood();
      });
    },

    async dropOpen(tx, userId) {
      await store.removeOfUser(tx, userId);
    },

    removeEnded: (rowsMax) => db.transaction((tx) => store.removeEnded(tx, clock.nowMs(), rowsMax)),
  };
}
