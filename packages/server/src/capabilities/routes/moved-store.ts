import type { Scope } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { MovedCalls } from '../egress-servers/index.js';
import type { MethodConfigs } from './config.js';
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

    /** Targets that are written for them, of any environment and method, those that are off too. */
    async targets(scope: Scope, moved: MovedCalls, tx?: Transaction): Promise<string[]> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('route_environment_configs')
        .select(['target_base_url', 'method_configs'])
        .where('route_id', 'in', configsOf(scope, moved, tx).select('c.route_id'))
        .execute();
      return rows.flatMap(({ target_base_url: target, method_configs: text }) => {
        const methods: MethodConfigs = text === null ? {} : JSON.parse(text);
        const targets = [target, ...Object.values(methods).map(({ targetBaseUrl }) => targetBaseUrl)];
        return targets.filter((url) => url !== null);
      });
    },
  };
}
