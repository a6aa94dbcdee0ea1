import type { Clock } from '../../../kernel/clock.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Secret } from '../../../kernel/secret.js';
import { deriveKey, lengthPrefixed } from '../../../platform/crypto/authenticated-cipher.js';
import { equalInConstantTime, hmacSha256, sha256 } from '../../../platform/crypto/hashing.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { accountsTables } from '../tables.js';

/** What a challenge is for, and of whom: a user in a session, a pending sign-in, or anybody. */
export interface ChallengeFor {
  readonly purpose: 'enrol' | 'sign_in' | 'step_up';
  readonly subject: string;
}

/**
 * Anybody may ask for a challenge, so none is written down: it proves itself by a MAC over what it is for and when it
 * ends. Those that were used are kept until then, and no other can be used twice.
 */
export interface Challenges {
  issue(of: ChallengeFor): string;
  isGood(challenge: string, of: ChallengeFor): boolean;
  /** False where it has been used. */
  use(tx: Transaction, challenge: string): Promise<boolean>;
  removeEnded(rowsMax: number): Promise<number>;
}

export interface ChallengesDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly rootKey: Secret<Buffer>;
}

const NONCE_BYTES = 16;
const TIME_BYTES = 6;
const MAC_BYTES = 32;

export function createChallenges({ db, clock, random, rootKey }: ChallengesDeps): Challenges {
  const view = db.view(accountsTables);
  const key = deriveKey(rootKey.reveal(), Buffer.alloc(0), 'knox.root.passkey-challenge');
  const macOf = (head: Buffer, { purpose, subject }: ChallengeFor) =>
    hmacSha256(key, lengthPrefixed([purpose, subject]), head);

  return {
    issue(of) {
      const time = Buffer.alloc(TIME_BYTES);
      time.writeUIntBE(clock.nowMs() + LIMITS.passkeyChallengeMs, 0, TIME_BYTES);
      const head = Buffer.concat([random.bytes(NONCE_BYTES), time]);
      return Buffer.concat([head, macOf(head, of)]).toString('base64url');
    },

    isGood(challenge, of) {
      const bytes = Buffer.from(challenge, 'base64url');
      if (bytes.length !== NONCE_BYTES + TIME_BYTES + MAC_BYTES) return false;
      const head = bytes.subarray(0, NONCE_BYTES + TIME_BYTES);
      const isOurs = equalInConstantTime(bytes.subarray(head.length), macOf(head, of));
      return isOurs && clock.nowMs() < head.readUIntBE(NONCE_BYTES, TIME_BYTES);
    },

    async use(tx, challenge) {
      const row = await view
        .system('people', tx)
        .insertInto('used_challenges')
        .values({
          // By its bytes: a text may be written in several ways.
          challenge_hash: sha256(Buffer.from(challenge, 'base64url')),
          expires_at: clock.nowMs() + LIMITS.passkeyChallengeMs,
        })
        .onConflict((conflict) => conflict.column('challenge_hash').doNothing())
        .returning('expires_at')
        .executeTakeFirst();
      return row !== undefined;
    },

    removeEnded: (rowsMax) =>
      db.transaction(async (tx) => {
        const queries = view.system('retention', tx);
        const ended = await queries
          .selectFrom('used_challenges')
          .select('challenge_hash')
          .where('expires_at', '<=', clock.nowMs())
          .orderBy('expires_at')
          .limit(rowsMax)
          .execute();
        const hashes = ended.map(({ challenge_hash }) => challenge_hash);
        if (hashes.length > 0)
          await queries.deleteFrom('used_challenges').where('challenge_hash', 'in', hashes).execute();
        return hashes.length;
      }),
  };
}
