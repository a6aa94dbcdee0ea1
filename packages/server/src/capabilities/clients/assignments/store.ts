import type { Scope } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { clientTables } from '../tables.js';

/** Clients are assigned to a route in one of its environments (clients-pki.md §1.3). */
export interface RouteEnvironment {
  readonly routeId: string;
  readonly environment: string;
}

/** Rows of one statement. */
const ROWS_AT_ONCE = 500;

export type AssignmentStore = ReturnType<typeof createAssignmentStore>;

export function createAssignmentStore(db: Database) {
  const view = db.view(clientTables);

  return {
    async clientIds(scope: Scope, at: RouteEnvironment, tx?: Transaction): Promise<string[]> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('client_assignments')
        .select('client_id')
        .where('route_id', '=', at.routeId)
        .where('environment', '=', at.environment)
        .orderBy('client_id')
        .execute();
      return rows.map((row) => row.client_id);
    },

    async ofClient(scope: Scope, clientId: string): Promise<RouteEnvironment[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('client_assignments')
        .select(['route_id', 'environment'])
        .where('client_id', '=', clientId)
        .orderBy('route_id')
        .orderBy('environment')
        .execute();
      return rows.map((row) => ({ routeId: row.route_id, environment: row.environment }));
    },

    /** Those of the ids that clients of the scope have. */
    async known(tx: Transaction, scope: Scope, ids: readonly string[]): Promise<Set<string>> {
      const known = new Set<string>();
      for (const some of inParts(ids)) {
        const rows = await view
          .scoped(scope, tx)
          .selectFrom('clients')
          .select('id')
          .where('id', 'in', some)
          .execute();
        for (const { id } of rows) known.add(id);
      }
      return known;
    },

    async add(
      tx: Transaction,
      scope: Scope,
      at: RouteEnvironment,
      clientIds: readonly string[],
      nowMs: number,
    ): Promise<void> {
      for (const some of inParts(clientIds)) {
        const rows = some.map((clientId) => ({
          route_id: at.routeId,
          environment: at.environment,
          client_id: clientId,
          created_at: nowMs,
        }));
        await view.scoped(scope, tx).insertInto('client_assignments').values(rows).execute();
      }
    },

    async renameEnvironment(tx: Transaction, scope: Scope, from: string, to: string): Promise<number> {
      const rows = await view
        .scoped(scope, tx)
        .updateTable('client_assignments')
        .set({ environment: to })
        .where('environment', '=', from)
        .returning('client_id')
        .execute();
      return rows.length;
    },

    async removeEnvironment(tx: Transaction, scope: Scope, environment: string): Promise<number> {
      const rows = await view
        .scoped(scope, tx)
        .deleteFrom('client_assignments')
        .where('environment', '=', environment)
        .returning('client_id')
        .execute();
      return rows.length;
    },

    async removeOfRoute(
      tx: Transaction,
      scope: Scope,
      { routeId, environment }: { readonly routeId: string; readonly environment?: string },
    ): Promise<number> {
      let query = view.scoped(scope, tx).deleteFrom('client_assignments').where('route_id', '=', routeId);
      if (environment !== undefined) query = query.where('environment', '=', environment);
      return (await query.returning('client_id').execute()).length;
    },

    async remove(
      tx: Transaction,
      scope: Scope,
      at: RouteEnvironment,
      clientIds: readonly string[],
    ): Promise<void> {
      for (const some of inParts(clientIds))
        await view
          .scoped(scope, tx)
          .deleteFrom('client_assignments')
          .where('route_id', '=', at.routeId)
          .where('environment', '=', at.environment)
          .where('client_id', 'in', some)
          .execute();
    },
  };
}

function* inParts<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += ROWS_AT_ONCE) yield all.slice(from, from + ROWS_AT_ONCE);
}
