import type { Selectable } from 'kysely';
import type { Scope } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { type RouteActionRow, routeTables } from '../tables.js';
import type { FieldAction } from '../types.js';

export interface StoredAction extends FieldAction {
  readonly scope: Scope;
  readonly routeId: string;
  readonly createdAtMs: number;
}

export function createRouteActionStore(db: Database) {
  const view = db.view(routeTables);

  return {
    /** In the order in which they are applied. */
    async ofRoute(scope: Scope, routeId: string, tx?: Transaction): Promise<StoredAction[]> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('route_actions')
        .selectAll()
        .where('route_id', '=', routeId)
        .orderBy('sort_order')
        .orderBy('created_at')
        .orderBy('id')
        .execute();
      return rows.map((row) => actionOf(scope, row));
    },

    async insert(tx: Transaction, action: StoredAction): Promise<void> {
      await view
        .scoped(action.scope, tx)
        .insertInto('route_actions')
        .values({
          id: action.id,
          route_id: action.routeId,
          direction: action.direction,
          action: action.action,
          selectors: JSON.stringify(action.selectors),
          key_name: action.keyName,
          data_role: action.dataRole,
          content_type: action.contentType,
          sort_order: action.sortOrder,
          enabled: Number(action.enabled),
          created_at: action.createdAtMs,
        })
        .execute();
    },

    async delete(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('route_actions').where('id', '=', id).execute();
    },

    async deleteOfRoute(tx: Transaction, scope: Scope, routeId: string): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('route_actions').where('route_id', '=', routeId).execute();
    },
  };
}

function actionOf(scope: Scope, row: Selectable<RouteActionRow>): StoredAction {
  return {
    id: row.id,
    scope,
    routeId: row.route_id,
    direction: row.direction,
    action: row.action,
    selectors: JSON.parse(row.selectors) as string[],
    keyName: row.key_name,
    dataRole: row.data_role,
    contentType: row.content_type,
    sortOrder: row.sort_order,
    enabled: row.enabled === 1,
    createdAtMs: row.created_at,
  };
}
