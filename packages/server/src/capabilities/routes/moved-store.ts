import type { Scope } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { MovedCalls } from '../egress-servers/index.js';
import { routeTables } from './tables.js';
import type { ActionKind } from './types.js';

/** Of routes by what their calls leave by, in any environment. */
export function createMovedRoutesStore(db: Database) {
  const view = db.view(routeTables);

  function configsOf(scope: Scope, { serverIds, byDefault }: MovedCalls, tx?: Transaction) {
    return (
      view
        .scoped(scope, tx)
        .selectFrom('route_environment_configs as c')
        .innerJoin('routes as r', (join) =>
          join
            .onRef('r.tenant_id', '=', 'c.tenant_id')
            .onRef('r.sandbox', '=', 'c.sandbox')
            .onRef('r.id', '=', 'c.route_id'),
        )
        // Where the base names one, no environment goes by the default: null inherits.
        .where((eb) =>
          eb.or([
            ...(serverIds.length > 0 ? [eb('c.egress_server_id', 'in', serverIds)] : []),
            ...(byDefault
              ? [
                  eb.and([
                    eb('c.egress_server_id', 'is', null),
                    eb('c.environment_name', '=', eb.ref('r.base_environment')),
                  ]),
                ]
              : []),
          ]),
        )
    );
  }

  return {
    /** Each once, those that are off too. */
    async actions(
      scope: Scope,
      moved: MovedCalls,
      tx?: Transaction,
    ): Promise<{ action: ActionKind; keyName: string | null }[]> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('route_actions')
        .select(['action', 'key_name'])
        .distinct()
        .where('route_id', 'in', configsOf(scope, moved, tx).select('c.route_id'))
        .orderBy('action')
        .orderBy('key_name')
        .execute();
      return rows.map(({ action, key_name: keyName }) => ({ action, keyName }));
    },

    /** Whether one of them has a target, of any environment or method, that is written with `http:`. */
    async hasPlain(scope: Scope, moved: MovedCalls, tx?: Transaction): Promise<boolean> {
      const found = await view
        .scoped(scope, tx)
        .selectFrom('route_environment_configs')
        .select('id')
        .where('route_id', 'in', configsOf(scope, moved, tx).select('c.route_id'))
        .where((eb) =>
          eb.or([
            eb(eb.fn('lower', ['target_base_url']), 'like', 'http:%'),
            eb(eb.fn('lower', ['method_configs']), 'like', '%"targetbaseurl":"http:%'),
          ]),
        )
        .limit(1)
        .execute();
      return found.length > 0;
    },
  };
}
