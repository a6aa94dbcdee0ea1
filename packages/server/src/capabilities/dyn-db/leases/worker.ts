import type { Clock } from '../../../kernel/clock.js';
import { isAppError } from '../../../kernel/errors.js';
import type { IdSource } from '../../../kernel/ids.js';
import type { JobReport } from '../../../platform/jobs/definition.js';
import type { Database } from '../../../platform/storage/database.js';
import type { Databases, OpenDatabase } from '../connections/databases.js';
import type { Connection, ConnectionStore } from '../connections/store.js';
import type { ConnectionPlace, LeaseClaims } from './claims.js';
import { CLAIM_MS, createDueQueue, type RunContext } from './due-queue.js';
import type { Ending } from './ending.js';
import { dueActOf } from './lease.js';
import { createLedger } from './ledger.js';
import { createPlaces, type LogIn } from './places.js';

export interface LeaseWorkerDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly databases: Pick<Databases, 'open' | 'within'>;
  readonly connections: Pick<ConnectionStore, 'findById'>;
  readonly claims: LeaseClaims;
  readonly ending: Ending;
  onDropped(durationMs: number): void;
}

/** Of one connection, so that a dead database starves nobody and a slow one is not flooded (dyn-db.md §4). */
const SESSIONS = 2;
/** What waits for a database that does not answer, while too many do not. */
const PUT_OFF_MS = 10_000;
/** Then the database is away, whatever it says. */
const LOST_IN_A_ROW_MAX = 2;

/** Ends the leases of one connection that are due, until none is. */
export function createLeaseWorker(deps: LeaseWorkerDeps) {
  const { db, clock, ids, databases, connections, claims, ending } = deps;
  const places = createPlaces(deps);

  /** All that is due there waits: each of them would find the same. */
  async function backOff(
    place: ConnectionPlace,
    owner: string,
    error: unknown,
    limit: number,
  ): Promise<void> {
    await claims.giveBack(place, owner);
    const nowMs = clock.nowMs();
    const claim = { owner, untilMs: nowMs + CLAIM_MS };
    for (;;) {
      const due = await claims.claimDue(place, claim, nowMs, limit);
      if (due.length === 0) return;
      await ending.fail(place.scope, owner, due, error);
    }
  }

  async function run(
    place: ConnectionPlace,
    connection: Connection,
    context: RunContext,
    logIn: LogIn,
  ): Promise<JobReport> {
    const owner = ids.uuid();
    const queue = createDueQueue(deps, place, owner, context);
    const ledger = createLedger(deps, place.scope, owner);
    const cutOffs: unknown[] = [];

    async function dropAll(): Promise<void> {
      let opened: OpenDatabase | null = null;
      let lost: unknown[] = [];
      try {
        for (let lease = await queue.next(); lease; lease = await queue.next()) {
          const act = dueActOf(lease, clock.nowMs());
          if (act.is === 'restore') {
            const { id, expiresAtMs } = lease;
            await db.transaction((tx) => claims.activate(tx, place.scope, owner, id, expiresAtMs));
            continue;
          }
          if (!opened) {
            try {
              opened = await logIn((signal) => databases.open(place.scope, connection, signal));
            } catch (error) {
              cutOffs.push(error);
              return queue.close();
            }
          }
          const startedMs = clock.monotonicMs();
          try {
            const { session } = opened;
            await databases.within(connection, () => session.dropUser(lease.username, lease.statements));
            deps.onDropped(clock.monotonicMs() - startedMs);
            lost = [];
          } catch (error) {
            await ending.fail(place.scope, owner, [lease], error);
            if (isAppError(error, 'database_error')) continue;
            await opened.close();
            opened = null;
            lost.push(error);
            if (lost.length < LOST_IN_A_ROW_MAX) continue;
            return queue.close();
          }
          ledger.add({ lease, cause: act.cause });
        }
      } finally {
        cutOffs.push(...lost);
        await opened?.close();
      }
    }

    const lanes = await Promise.allSettled(Array.from({ length: SESSIONS }, dropAll));
    await queue.close();
    const rows = await ledger.settle();
    for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason;
    if (cutOffs.some((error) => isAppError(error, 'dependency_unavailable'))) places.notHeard(connection.id);
    else places.heard(connection.id);
    if (cutOffs.length > 0) await backOff(place, owner, cutOffs[0], context.batchMax);
    else await claims.giveBack(place, owner);
    return queue.isLeft || context.isStopping() ? { rows, againInMs: 0 } : { rows };
  }

  return {
    async endDue(place: ConnectionPlace, context: RunContext): Promise<JobReport> {
      const { tenantId } = place.scope;
      const waitMs = places.waitMsOf(tenantId);
      if (waitMs !== null) return { rows: 0, againInMs: waitMs };
      return places.hold(tenantId, async () => {
        const connection = await connections.findById(place.scope, place.connectionId);
        if (!connection) return { rows: 0 };
        const report = await places.within(connection.id, (logIn) => run(place, connection, context, logIn));
        if (report !== undefined) return report;
        await claims.putOff(place, clock.nowMs(), clock.nowMs() + PUT_OFF_MS);
        return { rows: 0, details: { put_off: true } };
      });
    },
  };
}
