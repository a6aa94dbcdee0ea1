import type { Clock } from '../../../kernel/clock.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Secret } from '../../../kernel/secret.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import { newOpaqueToken } from '../../../platform/crypto/opaque-token.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { StepUpCheck, StepUpHolder } from '../../../platform/http/step-up.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { stepUpExpired, stepUpOfAnother, stepUpRequired } from '../errors.js';
import { createStepUpStore } from './store.js';

export interface StepUpTokensDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
}

export interface IssuedStepUp {
  /** Shown once; its SHA-256 is kept. */
  readonly token: Secret<string>;
  readonly expiresAtMs: number;
}

/** Proof that a user has just proven itself anew: of that user, session and tenant alone (auth.md §7). */
export interface StepUpTokens extends StepUpCheck {
  /** In the transaction of the proof. */
  issue(tx: Transaction, holder: StepUpHolder): Promise<IssuedStepUp>;
  removeEnded(rowsMax: number): Promise<number>;
}

const TOKEN_CHARACTERS_MAX = 200;

export function createStepUpTokens({ db, clock, random }: StepUpTokensDeps): StepUpTokens {
  const store = createStepUpStore(db);

  return {
    async issue(tx, { userId, sessionId, tenantId }) {
      const { token, hash } = newOpaqueToken(random);
      const createdAtMs = clock.nowMs();
      const expiresAtMs = createdAtMs + LIMITS.stepUpTokenMs;
      await store.insert(tx, { hash, userId, sessionId, tenantId, createdAtMs, expiresAtMs });
      await store.removeOldest(tx, userId, LIMITS.stepUpTokensPerUserMax);
      return { token, expiresAtMs };
    },

    async check(holder, token, { maxAgeSeconds }) {
      if (token === undefined || token.length > TOKEN_CHARACTERS_MAX) throw stepUpRequired(maxAgeSeconds);
      const found = await store.find(sha256(token));
      if (!found) throw stepUpRequired(maxAgeSeconds);
      const isOwn =
        found.userId === holder.userId &&
        found.sessionId === holder.sessionId &&
        found.tenantId === holder.tenantId;
      if (!isOwn) throw stepUpOfAnother();
      if (found.isUsed) throw stepUpRequired(maxAgeSeconds);
      const nowMs = clock.nowMs();
      if (nowMs >= found.expiresAtMs || nowMs - found.createdAtMs > maxAgeSeconds * 1000)
        throw stepUpExpired(maxAgeSeconds);
    },

    async consume(token, { maxAgeSeconds }) {
      const nowMs = clock.nowMs();
      const isFirst = await db.transaction((tx) => store.use(tx, sha256(token), nowMs));
      if (!isFirst) throw stepUpRequired(maxAgeSeconds);
    },

    removeEnded: (rowsMax) => db.transaction((tx) => store.removeEnded(tx, clock.nowMs(), rowsMax)),
  };
}
