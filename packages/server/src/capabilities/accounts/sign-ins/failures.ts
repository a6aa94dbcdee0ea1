import type { Visitor } from '../../../kernel/principal.js';
import type { Logger } from '../../../platform/log/logger.js';
import type { Database } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { userActor, userEntry } from '../audit.js';
import type { SignedIn } from '../sessions/service.js';

export interface FailuresDeps {
  readonly db: Database;
  readonly auditLogs: Pick<AuditLogs, 'insertion'>;
  readonly logger: Pick<Logger, 'warn'>;
}

/** What of it was wrong, and whether it was the last before the lock. */
export interface Failure {
  readonly method: string;
  readonly locked: boolean;
}

type FailedUser = Pick<SignedIn, 'user' | 'memberships'>;

export type RecordFailure = (found: FailedUser | undefined, visitor: Visitor, failure: Failure) => void;

/**
 * The rows of a failed sign-in are not waited for: only an account that exists has any, and the time of the answer
 * must not tell it. They are durable before the server stops.
 */
export function createRecordFailure({ db, auditLogs, logger }: FailuresDeps): RecordFailure {
  return (found, visitor, failure) => {
    if (!found || found.memberships.length === 0) return;
    const { user, memberships } = found;
    const entry = userEntry('auth.login_failed', user.id, { ...failure });
    const rows = memberships.map(({ tenantId }) =>
      auditLogs.insertion(userActor(tenantId, user.id, visitor), entry),
    );
    db.commitInserts(rows).catch((error: unknown) =>
      logger.warn({ err: error, request_id: visitor.requestId }, 'a failed sign-in was not audited'),
    );
  };
}
