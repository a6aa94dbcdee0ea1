import { isoTime } from '../../../kernel/clock.js';
import { notFound } from '../../../kernel/errors.js';
import type { Scope } from '../../../kernel/ids.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import { leaseEntry } from '../audit.js';
import { actBudgetMs } from '../connections/databases.js';
import { leaseLost, leaseNotRenewable } from '../errors.js';
import type { LeaseActDeps } from './act-deps.js';
import type { Lease } from './lease.js';
import { SWEEP_MS } from './sweep.js';
import { renewedExpiryMs } from './ttl.js';

export interface RenewedLease {
  readonly leaseId: number;
  readonly expiresAtMs: number;
}

export function createRenewal(deps: LeaseActDeps) {
  const { db, clock, ids, databases, connections, leases, claims, ending, auditLogs } = deps;

  /** A restored row may say that a lease is over whose user was renewed since, and nobody ends it while that is sorted out. */
  function endOf({ expiresAtMs, maxExpiresAtMs }: Lease): number {
    return deps.isWorkerPaused ? maxExpiresAtMs : expiresAtMs;
  }

  /** Shown as `renewing`. Due when the claim ends: then a worker finds that nobody renews it any more. */
  function begin(scope: Scope, id: number, owner: string) {
    return db.transaction(async (tx) => {
      const known = await leases.find(scope, id, tx);
      if (!known || known.status === 'pending') throw notFound('Lease');
      const nowMs = clock.nowMs();
      const endsAtMs = endOf(known);
      if (known.endCause !== null || endsAtMs <= nowMs || known.status === 'errored')
        throw leaseNotRenewable(known.status === 'active' ? 'about to end' : known.status);
      const connection = await connections.findById(scope, known.connectionId, tx);
      if (!connection) throw notFound('Lease');
      const untilMs = Math.min(nowMs + actBudgetMs(connection), endsAtMs);
      const claim = { owner, untilMs };
      const lease = await claims.take(tx, scope, id, claim, { status: 'renewing', nextAttemptAtMs: untilMs });
      if (!lease) throw notFound('Lease');
      return { lease, connection };
    });
  }

  /** As it was, one failure later; the fifth in a row makes it `errored`, and it ends when it was to end. */
  async function giveUp(owner: string, lease: Lease, error: unknown): Promise<void> {
    await db.transaction(async (tx) => {
      const { scope, expiresAtMs } = lease;
      await ending.failIn(tx, scope, owner, [lease], error, expiresAtMs);
    });
  }

  return async function renew(
    caller: Caller,
    id: number,
    askedSeconds: number | null,
  ): Promise<RenewedLease> {
    const { scope } = caller.principal;
    const owner = ids.uuid();
    const { lease, connection } = await begin(scope, id, owner);
    const expiresAtMs = renewedExpiryMs(lease, askedSeconds, clock.nowMs());
    try {
      await databases.use(scope, connection, (session) => session.renewUser(lease.username, expiresAtMs));
    } catch (error) {
      await giveUp(owner, lease, error);
      throw error;
    }
    const renewed = { leaseId: id, expiresAtMs };
    await db.transaction(async (tx) => {
      if (!(await claims.activate(tx, scope, owner, id, expiresAtMs))) throw leaseLost();
      const entry = leaseEntry('dyn_db.lease.renew', lease, {
        ttl_seconds_asked: askedSeconds,
        expires_at: isoTime(expiresAtMs),
      });
      await auditLogs.record(tx, actorOf(caller), entry);
      await recordAnswer(tx, caller, renewed);
    });
    if (expiresAtMs - clock.nowMs() < SWEEP_MS) deps.wakeWorker();
    return renewed;
  };
}
