import type { Clock } from '../../../kernel/clock.js';
import { isAppError } from '../../../kernel/errors.js';
import type { Scope } from '../../../kernel/ids.js';
import type { Actor } from '../../../kernel/principal.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Outbox } from '../../../platform/outbox/outbox.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { backgroundActor, type LeaseAction, leaseEntry } from '../audit.js';
import type { EndCause } from '../tables.js';
import type { LeaseClaims } from './claims.js';
import type { Lease } from './lease.js';
import { ERRORED_AFTER, retryDelayMs } from './retry.js';

export interface Ended {
  readonly lease: Lease;
  readonly cause: EndCause;
}

export interface EndingDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly clock: Clock;
  readonly random: Pick<Random, 'below'>;
  readonly claims: LeaseClaims;
  readonly auditLogs: Pick<AuditLogs, 'record' | 'recordAll'>;
  readonly outbox: Pick<Outbox, 'publish'>;
}

export type Ending = ReturnType<typeof createEnding>;

const ERROR_CHARACTERS_MAX = 500;

/** How leases end and fail to end, each with the row that tells of it, in the transaction of the change. */
export function createEnding({ db, clock, random, claims, auditLogs, outbox }: EndingDeps) {
  /** All of one scope. Which of them were the owner's to end, those have one row each. */
  async function endIn(
    tx: Transaction,
    scope: Scope,
    owner: string,
    ended: readonly Ended[],
    actor: Actor,
  ): Promise<ReadonlySet<number>> {
    const each = oncePerLease(ended);
    const ends = each.map(({ lease, cause }) => ({ id: lease.id, cause }));
    const done = await claims.end(tx, scope, owner, ends, clock.nowMs());
    const entries = each
      .filter(({ lease }) => done.has(lease.id))
      .map(({ lease, cause }) => leaseEntry(actionOf(cause), lease, { cause }));
    if (entries.length > 0) await auditLogs.recordAll(tx, actor, entries);
    return done;
  }

  /** Tries again later, without end; the fifth failure in a row is told. */
  async function failIn(
    tx: Transaction,
    scope: Scope,
    owner: string,
    failed: readonly Lease[],
    error: unknown,
    nextAttemptAtMs?: number,
  ): Promise<void> {
    const lastError = shownError(error);
    for (const before of new Set(failed.map((lease) => lease.attempts))) {
      const leases = failed.filter((lease) => lease.attempts === before);
      const attempts = before + 1;
      const isErrored = attempts >= ERRORED_AFTER;
      const mine = await claims.fail(tx, scope, owner, {
        ids: leases.map(({ id }) => id),
        attempts,
        ...(isErrored && { status: 'errored' }),
        nextAttemptAtMs: nextAttemptAtMs ?? clock.nowMs() + retryDelayMs(attempts, random),
        lastError,
      });
      if (attempts !== ERRORED_AFTER) continue;
      for (const lease of leases.filter(({ id }) => mine.has(id))) await tellErrored(tx, lease, lastError);
    }
  }

  async function tellErrored(tx: Transaction, lease: Lease, error: string): Promise<void> {
    const entry = leaseEntry('dyn_db.lease.errored', lease, { error });
    await auditLogs.record(tx, backgroundActor(lease.scope), entry);
    await outbox.publish(tx, {
      scope: lease.scope,
      type: 'audit.event',
      key: entry.resourceId ?? '',
      payload: {
        action: entry.action,
        resource_type: entry.resourceType,
        resource_id: entry.resourceId,
        details: entry.details,
        ip_address: null,
      },
    });
  }

  return {
    endIn,
    failIn,
    end: (scope: Scope, owner: string, ended: readonly Ended[], actor: Actor) =>
      db.transaction((tx) => endIn(tx, scope, owner, ended, actor)),
    fail: (scope: Scope, owner: string, failed: readonly Lease[], error: unknown) =>
      db.transaction((tx) => failIn(tx, scope, owner, failed, error)),
  };
}

/**
 * A call may take a lease from the worker, fail and leave it to the worker again while that still drops its user: then
 * the same owner has dropped it twice.
 */
function oncePerLease(ended: readonly Ended[]): readonly Ended[] {
  const first = new Map<number, Ended>();
  for (const one of ended) if (!first.has(one.lease.id)) first.set(one.lease.id, one);
  return [...first.values()];
}

function actionOf(cause: EndCause): LeaseAction {
  if (cause === 'expired') return 'dyn_db.lease.expire';
  return cause === 'forgotten' ? 'dyn_db.lease.force_forget' : 'dyn_db.lease.revoke';
}

/** What was made for callers is fit to be kept; of anything else only that it happened. */
export function shownError(error: unknown): string {
  const text = isAppError(error) ? `${error.type}: ${error.publicMessage}` : 'internal error';
  return text.slice(0, ERROR_CHARACTERS_MAX);
}
