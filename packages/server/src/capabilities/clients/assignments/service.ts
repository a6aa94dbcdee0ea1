import type { Clock } from '../../../kernel/clock.js';
import { isUuid, type Scope } from '../../../kernel/ids.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import type { ScopeCache } from '../../../platform/cache/scope-cache.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import type { EnvironmentHolder } from '../../environments/index.js';
import { assignmentEntry } from '../audit.js';
import { clientNotFound } from '../errors.js';
import type { AssignmentStore, RouteEnvironment } from './store.js';

export type { RouteEnvironment } from './store.js';

/**
 * Which clients may call a route in one of its environments (clients-pki.md §1.3). That there is such a route and
 * environment is for the caller to know.
 */
export interface Assignments {
  /** Ids, in their order. */
  list(scope: Scope, at: RouteEnvironment): Promise<string[]>;
  /** In place of those that were; 404 where one of the ids is none of the caller's tenant and mode, and nothing is changed. */
  replace(
    caller: Caller,
    at: RouteEnvironment,
    clientIds: readonly string[],
    stillThere?: StillThere,
  ): Promise<string[]>;
  /** Once more does nothing. */
  assign(caller: Caller, at: RouteEnvironment, clientId: string, stillThere?: StillThere): Promise<void>;
  /** One that is not assigned is left as it is. */
  unassign(caller: Caller, at: RouteEnvironment, clientId: string): Promise<void>;
  /** With a route, or with one of its environments, in the transaction that deletes it; how many there were. */
  removeOfRoute(
    tx: Transaction,
    scope: Scope,
    of: { readonly routeId: string; readonly environment?: string },
  ): Promise<number>;
  /** They follow the name of their environment, and end with it. */
  readonly environmentHolder: EnvironmentHolder;
}

/** Asked in the transaction: throws where route or environment is gone by then, whose assignments would outlive it. */
export type StillThere = (tx: Transaction) => Promise<void>;

export interface AssignmentsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly store: AssignmentStore;
  readonly indexes: Pick<ScopeCache<unknown>, 'changed'>;
}

export function createAssignments(deps: AssignmentsDeps): Assignments {
  const { db, clock, auditLogs, store, indexes } = deps;

  async function requireClients(tx: Transaction, scope: Scope, ids: readonly string[]): Promise<string[]> {
    if (!ids.every(isUuid)) throw clientNotFound();
    const wanted = [...new Set(ids.map((id) => id.toLowerCase()))];
    if ((await store.known(tx, scope, wanted)).size < wanted.length) throw clientNotFound();
    return wanted.sort();
  }

  /** What it answers is said by the change alone. */
  function change<T>(
    caller: Caller,
    at: RouteEnvironment,
    ids: readonly string[],
    decide: (present: ReadonlySet<string>, named: readonly string[]) => Change<T>,
    stillThere?: StillThere,
  ): Promise<T> {
    const { scope } = caller.principal;
    return db.transaction(async (tx) => {
      await stillThere?.(tx);
      const named = await requireClients(tx, scope, ids);
      const present = new Set(await store.clientIds(scope, at, tx));
      const { added, removed, result } = decide(present, named);
      await store.remove(tx, scope, at, removed);
      await store.add(tx, scope, at, added, clock.nowMs());
      if (added.length + removed.length > 0) await indexes.changed(tx, scope);
      const actor = actorOf(caller);
      if (removed.length > 0)
        await auditLogs.record(tx, actor, assignmentEntry('client.unassign', at, removed));
      if (added.length > 0) await auditLogs.record(tx, actor, assignmentEntry('client.assign', at, added));
      await recordAnswer(tx, caller, result);
      return result;
    });
  }

  return {
    list: (scope, at) => store.clientIds(scope, at),
    replace: (caller, at, clientIds, stillThere) =>
      change(
        caller,
        at,
        clientIds,
        (present, named) => {
          const wanted = new Set(named);
          return {
            added: named.filter((id) => !present.has(id)),
            removed: [...present].filter((id) => !wanted.has(id)),
            result: [...named],
          };
        },
        stillThere,
      ),
    assign: (caller, at, clientId, stillThere) =>
      change(
        caller,
        at,
        [clientId],
        (present, named) => ({
          added: named.filter((id) => !present.has(id)),
          removed: [],
          result: undefined,
        }),
        stillThere,
      ),
    unassign: (caller, at, clientId) =>
      change(caller, at, [clientId], (present, named) => ({
        added: [],
        removed: named.filter((id) => present.has(id)),
        result: undefined,
      })),
    async removeOfRoute(tx, scope, of) {
      const count = await store.removeOfRoute(tx, scope, of);
      if (count > 0) await indexes.changed(tx, scope);
      return count;
    },
    environmentHolder: {
      neededBy: async () => null,
      async rename(tx, scope, from, to) {
        const count = await store.renameEnvironment(tx, scope, from, to);
        if (count > 0) await indexes.changed(tx, scope);
      },
      async remove(tx, scope, name) {
        const count = await store.removeEnvironment(tx, scope, name);
        if (count > 0) await indexes.changed(tx, scope);
        return { client_assignments_deleted: count };
      },
    },
  };
}

interface Change<T> {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly result: T;
}
