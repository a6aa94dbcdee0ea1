import { sql } from 'kysely';
import type { DbConnectionId, Scope, TenantId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { dynDbTables, type EndCause, type LeaseStatus } from '../tables.js';
import { endStatusOf, type Lease } from './lease.js';
import { type Claim, leaseOf } from './store.js';

export interface ConnectionPlace {
  readonly scope: Scope;
  readonly connectionId: DbConnectionId;
}

export interface LeaseEnd {
  readonly id: number;
  readonly cause: EndCause;
}

/** How a lease goes on that could not be ended or renewed. */
export interface LeaseFailure {
  readonly ids: readonly number[];
  readonly attempts: number;
  /** Absent = as it was. */
  readonly status?: LeaseStatus;
  readonly nextAttemptAtMs: number;
  readonly lastError: string;
}

export interface LeaseCounts {
  readonly live: number;
  readonly errored: number;
  readonly due: number;
  readonly late: number;
}

export type LeaseClaims = ReturnType<typeof createLeaseClaims>;

/** Who has which lease at hand. A write names its owner: with another owner in the row it changes nothing. */
export function createLeaseClaims(db: Pick<Database, 'view'>) {
  const view = db.view(dynDbTables);

  function owned(tx: Transaction, scope: Scope, owner: string) {
    return view
      .scoped(scope, tx)
      .updateTable('dyn_db_leases')
      .where('claim_owner', '=', owner)
      .where('next_attempt_at', 'is not', null);
  }

  const FREED = { claim_owner: null, claim_until: null } as const;

  return {
    /**
     * Those of a connection that are due and at nobody's hand, the longest waiting first. Two steps: of two that found
     * the same rows the second finds them claimed when it comes to write.
     */
    async claimDue(
      { scope, connectionId }: ConnectionPlace,
      { owner, untilMs }: Claim,
      nowMs: number,
      limit: number,
    ): Promise<Lease[]> {
      const due = await view
        .scoped(scope)
        .selectFrom('dyn_db_leases')
        .select('id')
        .where('connection_id', '=', connectionId)
        .where('next_attempt_at', '<=', nowMs)
        .where(({ or, eb }) => or([eb('claim_until', 'is', null), eb('claim_until', '<=', nowMs)]))
        .orderBy('next_attempt_at')
        .limit(limit)
        .forUpdate()
        .skipLocked()
        .execute();
      if (due.length === 0) return [];
      const rows = await view
        .scoped(scope)
        .updateTable('dyn_db_leases')
        .set({ claim_owner: owner, claim_until: untilMs })
        .where(
          'id',
          'in',
          due.map(({ id }) => id),
        )
        .where('next_attempt_at', '<=', nowMs)
        .where(({ or, eb }) => or([eb('claim_until', 'is', null), eb('claim_until', '<=', nowMs)]))
        .returningAll()
        .execute();
      return rows.map(leaseOf);
    },

    /** Takes it from whoever has it: what is done to a user may be done twice, and is written once. */
    async take(
      tx: Transaction,
      scope: Scope,
      id: number,
      { owner, untilMs }: Claim,
      more: {
        readonly status?: LeaseStatus;
        readonly endCause?: EndCause;
        readonly nextAttemptAtMs?: number;
      },
    ): Promise<Lease | undefined> {
      const rows = await view
        .scoped(scope, tx)
        .updateTable('dyn_db_leases')
        .set({
          claim_owner: owner,
          claim_until: untilMs,
          ...(more.status !== undefined && { status: more.status }),
          ...(more.endCause !== undefined && { end_cause: more.endCause }),
          ...(more.nextAttemptAtMs !== undefined && { next_attempt_at: more.nextAttemptAtMs }),
        })
        .where('id', '=', id)
        .where('next_attempt_at', 'is not', null)
        .returningAll()
        .execute();
      return rows[0] && leaseOf(rows[0]);
    },

    /** A pending lease, or one that is being renewed, lives on; false when that is no longer for the owner to say. */
    async activate(
      tx: Transaction,
      scope: Scope,
      owner: string,
      id: number,
      expiresAtMs: number,
    ): Promise<boolean> {
      const rows = await owned(tx, scope, owner)
        .set({
          status: 'active',
          expires_at: expiresAtMs,
          next_attempt_at: expiresAtMs,
          attempts: 0,
          last_error: null,
          ...FREED,
        })
        .where('id', '=', id)
        .where('end_cause', 'is', null)
        .returning('id')
        .execute();
      return rows.length === 1;
    },

    /** Ids of those that this ended: each lease is ended once. */
    async end(
      tx: Transaction,
      scope: Scope,
      owner: string,
      ends: readonly LeaseEnd[],
      nowMs: number,
    ): Promise<ReadonlySet<number>> {
      const ended = new Set<number>();
      for (const cause of new Set(ends.map((end) => end.cause))) {
        const rows = await owned(tx, scope, owner)
          .set({
            status: endStatusOf(cause),
            end_cause: cause,
            ended_at: nowMs,
            next_attempt_at: null,
            last_error: null,
            ...FREED,
          })
          .where(
            'id',
            'in',
            ends.filter((end) => end.cause === cause).map(({ id }) => id),
          )
          .returning('id')
          .execute();
        for (const { id } of rows) ended.add(id);
      }
      return ended;
    },

    /** Ids of those that were the owner's to fail. */
    async fail(
      tx: Transaction,
      scope: Scope,
      owner: string,
      failure: LeaseFailure,
    ): Promise<ReadonlySet<number>> {
      const rows = await owned(tx, scope, owner)
        .set({
          attempts: failure.attempts,
          // One that was being renewed lives on as it was.
          status:
            failure.status ?? sql<LeaseStatus>`case when status = 'renewing' then 'active' else status end`,
          next_attempt_at: failure.nextAttemptAtMs,
          last_error: failure.lastError,
          ...FREED,
        })
        .where('id', 'in', [...failure.ids])
        .returning('id')
        .execute();
      return new Set(rows.map(({ id }) => id));
    },

    /** What was claimed and not begun. */
    async giveBack({ scope, connectionId }: ConnectionPlace, owner: string): Promise<void> {
      await view
        .scoped(scope)
        .updateTable('dyn_db_leases')
        .set(FREED)
        .where('connection_id', '=', connectionId)
        .where('claim_owner', '=', owner)
        .where('next_attempt_at', 'is not', null)
        .execute();
    },

    /** What is due and at nobody's hand waits until then; it has not failed. */
    async putOff({ scope, connectionId }: ConnectionPlace, nowMs: number, untilMs: number): Promise<void> {
      await view
        .scoped(scope)
        .updateTable('dyn_db_leases')
        .set({ next_attempt_at: untilMs })
        .where('connection_id', '=', connectionId)
        .where('next_attempt_at', '<=', nowMs)
        .where(({ or, eb }) => or([eb('claim_until', 'is', null), eb('claim_until', '<=', nowMs)]))
        .execute();
    },

    /** Of a mint that came to nothing before there could be a user. */
    async discard(tx: Transaction, scope: Scope, owner: string, id: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .deleteFrom('dyn_db_leases')
        .where('id', '=', id)
        .where('status', '=', 'pending')
        .where('claim_owner', '=', owner)
        .execute();
    },

    /** Nobody drops its user: a human has decided so, or there is none. */
    async forget(
      tx: Transaction,
      scope: Scope,
      ids: readonly number[],
      cause: EndCause,
      nowMs: number,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('dyn_db_leases')
        .set({ status: 'revoked', end_cause: cause, ended_at: nowMs, next_attempt_at: null, ...FREED })
        .where('id', 'in', [...ids])
        .where('next_attempt_at', 'is not', null)
        .execute();
    },

    /** Where something is due that nobody has at hand, in the order of their ids. */
    async dueConnections(nowMs: number, limit: number, afterId = ''): Promise<ConnectionPlace[]> {
      const rows = await view
        .system('leases')
        .selectFrom('dyn_db_leases')
        .select(['tenant_id', 'sandbox', 'connection_id'])
        .distinct()
        .where('next_attempt_at', '<=', nowMs)
        .where(({ or, eb }) => or([eb('claim_until', 'is', null), eb('claim_until', '<=', nowMs)]))
        .where('connection_id', '>', afterId)
        .orderBy('connection_id')
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
        connectionId: row.connection_id as DbConnectionId,
      }));
    },

    /** When the next one falls due; null = none will. */
    async nextDueAtMs(nowMs: number): Promise<number | null> {
      const row = await view
        .system('leases')
        .selectFrom('dyn_db_leases')
        .select('next_attempt_at')
        .where('next_attempt_at', '>', nowMs)
        .orderBy('next_attempt_at')
        .limit(1)
        .executeTakeFirst();
      return row?.next_attempt_at ?? null;
    },

    /** Over all tenants. Late = its time was over before `lateMs`. */
    async counts(nowMs: number, lateMs: number): Promise<LeaseCounts> {
      const rows = await view
        .system('metrics')
        .selectFrom('dyn_db_leases')
        .select(({ fn, eb }) => [
          'status',
          fn.countAll<number>().as('all'),
          fn.sum<number>(eb.case().when('next_attempt_at', '<=', nowMs).then(1).else(0).end()).as('due'),
          fn.sum<number>(eb.case().when('expires_at', '<=', lateMs).then(1).else(0).end()).as('late'),
        ])
        .where('next_attempt_at', 'is not', null)
        .groupBy('status')
        .execute();
      const sum = (of: (row: (typeof rows)[number]) => number) =>
        rows.reduce((total, row) => total + of(row), 0);
      return {
        live: sum((row) => row.all),
        errored: sum((row) => (row.status === 'errored' ? row.all : 0)),
        due: sum((row) => row.due),
        late: sum((row) => row.late),
      };
    },
  };
}
