import { isAppError, notFound } from '../../../kernel/errors.js';
import type { Scope } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import { leaseEntry } from '../audit.js';
import { actBudgetMs } from '../connections/databases.js';
import type { Connection } from '../connections/store.js';
import { revocationPending } from '../errors.js';
import type { EndCause } from '../tables.js';
import type { LeaseActDeps } from './act-deps.js';
import { shownError } from './ending.js';
import { hasEnded, type Lease } from './lease.js';
import type { LeaseChoice } from './store.js';

/** A drop that met another one of the same user is tried once more: the user is gone then. */
const TRIES = 2;
/** Marks of one bulk revocation; more are made by asking again. */
const MARKED_MAX = 20 * LIMITS.leasesChangedAtOnce;

export function createRevocation(deps: LeaseActDeps) {
  const { db, clock, ids, databases, connections, leases, claims, ending, auditLogs } = deps;

  /** The intent stands before anything is tried: what fails here is for the worker, at once. */
  async function begin(scope: Scope, id: number, owner: string) {
    return db.transaction(async (tx) => {
      const known = await leases.find(scope, id, tx);
      if (!known || known.status === 'pending') throw notFound('Lease');
      if (hasEnded(known)) return null;
      const connection = await connections.findById(scope, known.connectionId, tx);
      if (!connection) throw notFound('Lease');
      const claim = { owner, untilMs: clock.nowMs() + actBudgetMs(connection) };
      const asked = { endCause: 'revoked', nextAttemptAtMs: clock.nowMs() } as const;
      const lease = await claims.take(tx, scope, id, claim, asked);
      return lease ? { lease, connection } : null;
    });
  }

  async function drop(scope: Scope, connection: Connection, lease: Lease): Promise<void> {
    await databases.use(scope, connection, async (session) => {
      for (let left = TRIES; ; left -= 1) {
        try {
          return await session.dropUser(lease.username, lease.statements);
        } catch (error) {
          if (left === 1 || !isAppError(error, 'database_error')) throw error;
        }
      }
    });
  }

  async function conclude(caller: Caller, owner: string, lease: Lease, cause: EndCause): Promise<void> {
    await db.transaction(async (tx) => {
      await ending.endIn(tx, lease.scope, owner, [{ lease, cause }], actorOf(caller));
      await recordAnswer(tx, caller, lease.id);
    });
  }

  async function leaveToWorker(caller: Caller, owner: string, lease: Lease, error: unknown): Promise<void> {
    await db.transaction(async (tx) => {
      await ending.failIn(tx, lease.scope, owner, [lease], error, clock.nowMs());
      const entry = leaseEntry('dyn_db.lease.revoke_failed', lease, { error: shownError(error) });
      await auditLogs.record(tx, actorOf(caller), entry);
      tx.afterCommit(deps.wakeWorker);
    });
  }

  return {
    /** Twice is as once. With `force` the lease ends also where its user could not be dropped. */
    async revoke(caller: Caller, id: number, { force }: { readonly force: boolean }): Promise<number> {
      const { scope } = caller.principal;
      const owner = ids.uuid();
      const begun = await begin(scope, id, owner);
      if (!begun) {
        await db.transaction((tx) => recordAnswer(tx, caller, id));
        return id;
      }
      const { lease, connection } = begun;
      try {
        await drop(scope, connection, lease);
      } catch (error) {
        if (!force) {
          await leaveToWorker(caller, owner, lease, error);
          throw isAppError(error, 'dependency_unavailable') ? revocationPending(error) : error;
        }
        await conclude(caller, owner, lease, 'forgotten');
        return id;
      }
      await conclude(caller, owner, lease, 'revoked');
      return id;
    },

    /** Marks them; the worker ends them. How many it will. */
    async revokeMany(caller: Caller, choice: LeaseChoice): Promise<number> {
      const { scope } = caller.principal;
      const mark = (record: boolean, before: number) =>
        db.transaction(async (tx) => {
          const nowMs = clock.nowMs();
          const limit = LIMITS.leasesChangedAtOnce;
          const count = await leases.askToEnd(tx, scope, choice, 'revoked', nowMs, limit);
          if (count > 0) tx.afterCommit(deps.wakeWorker);
          if (count === limit && !record) return { count, isLast: false };
          const accepted = before + count;
          await auditLogs.record(tx, actorOf(caller), bulkEntry(choice, accepted));
          await recordAnswer(tx, caller, accepted);
          return { count, isLast: true };
        });
      let accepted = 0;
      for (;;) {
        const { count, isLast } = await mark(accepted >= MARKED_MAX, accepted);
        accepted += count;
        if (isLast) return accepted;
      }
    },
  };
}

function bulkEntry({ connection, role, ids }: LeaseChoice, accepted: number) {
  return {
    action: 'dyn_db.lease.revoke',
    resourceType: 'dyn_db_lease',
    resourceId: null,
    details: { connection, role, lease_ids: ids, accepted },
  };
}
