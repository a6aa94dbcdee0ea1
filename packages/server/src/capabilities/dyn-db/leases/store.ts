import type { Selectable } from 'kysely';
import type { DbConnectionId, DbRoleId, Scope, TenantId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { statementColumns, statementsOf } from '../roles/store.js';
import { dynDbTables, type EndCause, type LeaseRow, type LeaseStatus } from '../tables.js';
import { type Lease, LISTED } from './lease.js';

export interface NewLease
  extends Omit<Lease, 'id' | 'scope' | 'status' | 'attempts' | 'nextAttemptAtMs' | 'lastError'> {
  readonly claim: Claim;
}

/** Who has a lease at hand. `owner` is another one each time. */
export interface Claim {
  readonly owner: string;
  readonly untilMs: number;
}

export interface LeaseFilter {
  readonly statuses: readonly LeaseStatus[];
  readonly connection?: string | undefined;
  readonly role?: string | undefined;
  readonly actor?: string | undefined;
}

export interface LeaseChoice {
  readonly connection?: string | undefined;
  readonly role?: string | undefined;
  readonly ids?: readonly number[] | undefined;
}

/** A statement has room for 32,766 values on SQLite. */
const NAMES_OF_A_QUERY = 5_000;

export type LeaseStore = ReturnType<typeof createLeaseStore>;

/** What is known of leases, and what is asked of them. Who carries it out is in `claims.ts`. */
export function createLeaseStore(db: Pick<Database, 'view'>) {
  const view = db.view(dynDbTables);

  function filtered(scope: Scope, filter: LeaseFilter) {
    let query = view
      .aside(scope)
      .selectFrom('dyn_db_leases')
      .where('status', 'in', [...filter.statuses]);
    // Says to the planner that the index of live ones will do.
    if (filter.statuses.every(isListed)) query = query.where('next_attempt_at', 'is not', null);
    if (filter.connection !== undefined) query = query.where('connection_name', '=', filter.connection);
    if (filter.role !== undefined) query = query.where('role_name', '=', filter.role);
    if (filter.actor !== undefined) query = query.where('actor', '=', filter.actor);
    return query;
  }

  return {
    /** Before its user: whatever happens from here on, somebody knows of it (dyn-db.md §4). */
    async insertPending(tx: Transaction, scope: Scope, lease: NewLease): Promise<number> {
      const { id } = await view
        .scoped(scope, tx)
        .insertInto('dyn_db_leases')
        .values({
          connection_id: lease.connectionId,
          connection_name: lease.connectionName,
          role_id: lease.roleId,
          role_name: lease.roleName,
          engine: lease.engine,
          username: lease.username,
          ...statementColumns(lease.statements),
          actor: lease.actor,
          status: 'pending',
          ttl_seconds: lease.ttlSeconds,
          issued_at: lease.issuedAtMs,
          expires_at: lease.expiresAtMs,
          max_expires_at: lease.maxExpiresAtMs,
          attempts: 0,
          next_attempt_at: lease.claim.untilMs,
          claim_owner: lease.claim.owner,
          claim_until: lease.claim.untilMs,
          end_cause: lease.endCause,
        })
        .returning('id')
        .executeTakeFirstOrThrow();
      return id;
    },

    async find(scope: Scope, id: number, tx?: Transaction): Promise<Lease | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('dyn_db_leases')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst();
      return row && leaseOf(row);
    },

    async list(
      scope: Scope,
      filter: LeaseFilter,
      page: { readonly limit: number; readonly offset: number },
    ): Promise<{ leases: Lease[]; total: number }> {
      const rows = await filtered(scope, filter)
        .selectAll()
        .orderBy('issued_at', 'desc')
        .orderBy('id', 'desc')
        .limit(page.limit)
        .offset(page.offset)
        .execute();
      const { total } = await filtered(scope, filter)
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return { leases: rows.map(leaseOf), total };
    },

    /** Pending ones too: each may have a user. */
    async countLive(
      scope: Scope,
      connectionId: DbConnectionId,
      roleId: DbRoleId | null,
      tx: Transaction,
    ): Promise<number> {
      let query = view
        .scoped(scope, tx)
        .selectFrom('dyn_db_leases')
        .where('connection_id', '=', connectionId)
        .where('next_attempt_at', 'is not', null);
      if (roleId !== null) query = query.where('role_id', '=', roleId);
      const { total } = await query
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    /** Of the whole tenant, in that mode. */
    async countLiveOf(scope: Scope): Promise<number> {
      const { total } = await view
        .scoped(scope)
        .selectFrom('dyn_db_leases')
        .where('next_attempt_at', 'is not', null)
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    /** Some of those of a connection or a role that live. */
    async liveOf(
      scope: Scope,
      connectionId: DbConnectionId,
      roleId: DbRoleId | null,
      limit: number,
      tx: Transaction,
    ): Promise<Lease[]> {
      let query = view
        .scoped(scope, tx)
        .selectFrom('dyn_db_leases')
        .selectAll()
        .where('connection_id', '=', connectionId)
        .where('next_attempt_at', 'is not', null);
      if (roleId !== null) query = query.where('role_id', '=', roleId);
      return (await query.limit(limit).execute()).map(leaseOf);
    },

    /** Makes due for revocation, at most `limit` of them; how many. */
    async askToEnd(
      tx: Transaction,
      scope: Scope,
      choice: LeaseChoice,
      cause: EndCause,
      nowMs: number,
      limit: number,
    ): Promise<number> {
      let chosen = view
        .scoped(scope, tx)
        .selectFrom('dyn_db_leases')
        .select('id')
        .where('next_attempt_at', 'is not', null)
        .where(({ or, eb }) => or([eb('end_cause', 'is', null), eb('next_attempt_at', '>', nowMs)]));
      if (choice.connection !== undefined) chosen = chosen.where('connection_name', '=', choice.connection);
      if (choice.role !== undefined) chosen = chosen.where('role_name', '=', choice.role);
      if (choice.ids !== undefined) chosen = chosen.where('id', 'in', [...choice.ids]);
      const ids = (await chosen.limit(limit).execute()).map(({ id }) => id);
      if (ids.length === 0) return 0;
      await view
        .scoped(scope, tx)
        .updateTable('dyn_db_leases')
        .set({ end_cause: cause, next_attempt_at: nowMs })
        .where('id', 'in', ids)
        // Of several ids SQLite's planner makes a walk over an index of the tenant: over the live ones, not the history.
        .where('next_attempt_at', 'is not', null)
        .execute();
      return ids.length;
    },

    /** What failed there may go well now. */
    async retryAtOnce(
      tx: Transaction,
      scope: Scope,
      connectionId: DbConnectionId,
      nowMs: number,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('dyn_db_leases')
        .set({ next_attempt_at: nowMs })
        .where('connection_id', '=', connectionId)
        .where('next_attempt_at', '>', nowMs)
        .where('attempts', '>', 0)
        .where(({ or, eb }) =>
          or([
            eb('end_cause', 'is not', null),
            eb('expires_at', '<=', nowMs),
            // Of a mint that failed.
            eb('status', '=', 'pending'),
          ]),
        )
        .execute();
    },

    /** Which of the names are of a live lease: of any connection, for one server may be registered several times. */
    async liveUsernames(usernames: readonly string[]): Promise<ReadonlySet<string>> {
      const live = new Set<string>();
      for (let at = 0; at < usernames.length; at += NAMES_OF_A_QUERY) {
        const rows = await view
          .system('leases')
          .selectFrom('dyn_db_leases')
          .select('username')
          .where('username', 'in', usernames.slice(at, at + NAMES_OF_A_QUERY))
          .where('next_attempt_at', 'is not', null)
          .execute();
        for (const { username } of rows) live.add(username);
      }
      return live;
    },
  };
}

function isListed(status: LeaseStatus): boolean {
  return (LISTED as readonly LeaseStatus[]).includes(status);
}

export function leaseOf(row: Selectable<LeaseRow>): Lease {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    connectionId: row.connection_id as DbConnectionId,
    connectionName: row.connection_name,
    roleId: row.role_id as DbRoleId,
    roleName: row.role_name,
    engine: row.engine,
    username: row.username,
    statements: statementsOf(row),
    actor: row.actor,
    status: row.status,
    ttlSeconds: row.ttl_seconds,
    issuedAtMs: row.issued_at,
    expiresAtMs: row.expires_at,
    maxExpiresAtMs: row.max_expires_at,
    attempts: row.attempts,
    nextAttemptAtMs: row.next_attempt_at,
    lastError: row.last_error,
    endCause: row.end_cause,
  };
}
