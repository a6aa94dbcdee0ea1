import type { Clock } from '../../../kernel/clock.js';
import type { UserId } from '../../../kernel/ids.js';
import type { Visitor } from '../../../kernel/principal.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Logger } from '../../../platform/log/logger.js';
import type { Database } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { userActor, userEntry } from '../audit.js';
import { createSessionStore } from '../sessions/store.js';

export interface FailuresDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly auditLogs: Pick<AuditLogs, 'insertion'>;
  readonly logger: Pick<Logger, 'warn'>;
}

/** What of it was wrong, and whether it was the last before the lock. */
export interface Failure {
  readonly method: string;
  readonly locked: boolean;
}

export type RecordFailure = (userId: UserId | undefined, visitor: Visitor, failure: Failure) => void;

export interface Failures {
  readonly record: RecordFailure;
  /** Writes what waits; before the server stops. */
  flush(): Promise<void>;
}

const WRITTEN_WITHIN_MS = 2_000;
const WAITING_MAX = 1_000;

/**
 * The rows of a failed sign-in are written some time after its answer: only an account that exists has any, and whoever
 * asks at once for something else that is written would wait for them (measured by `npm run soak -- --only sign-in`).
 */
export function createFailures({ db, clock, random, auditLogs, logger }: FailuresDeps): Failures {
  const users = createSessionStore(db);
  const waiting = new Map<() => Promise<void>, () => void>();

  async function write(userId: UserId, visitor: Visitor, failure: Failure): Promise<void> {
    try {
      const entry = userEntry('auth.login_failed', userId, { ...failure });
      const memberships = await users.membershipsOf(userId);
      await db.commitInserts(
        memberships.map(({ tenantId }) => auditLogs.insertion(userActor(tenantId, userId, visitor), entry)),
      );
    } catch (error) {
      logger.warn({ err: error, request_id: visitor.requestId }, 'a failed sign-in was not audited');
    }
  }

  return {
    record(userId, visitor, failure) {
      if (userId === undefined) return;
      const writeIt = () => {
        waiting.delete(writeIt);
        return write(userId, visitor, failure);
      };
      if (waiting.size >= WAITING_MAX) void writeIt();
      else
        waiting.set(
          writeIt,
          clock.setTimer(random.below(WRITTEN_WITHIN_MS), () => void writeIt()),
        );
    },

    async flush() {
      const all = [...waiting];
      for (const [, cancel] of all) cancel();
      await Promise.all(all.map(([writeIt]) => writeIt()));
    },
  };
}
