import type { Clock } from '../../kernel/clock.js';
import type { Scope } from '../../kernel/ids.js';
import type { Generations } from '../../platform/cache/generations.js';
import { createScopeGeneration } from '../../platform/cache/scope-cache.js';
import type { Database } from '../../platform/storage/database.js';
import type { RouteHolder } from '../routes/index.js';
import { PLAN_GENERATIONS } from './plans.js';
import { createRedactionStore } from './store.js';

export interface RoutedRulesDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly generations: Pick<Generations, 'bump'>;
}

/** A rule does not outlive its routes as one for all: without any left it stays, and applies to no call (docs/decisions/0100). */
export function createRoutedRules({ db, clock, generations }: RoutedRulesDeps): RouteHolder {
  const store = createRedactionStore(db);
  const changed = createScopeGeneration(PLAN_GENERATIONS, generations);
  return {
    async remove(tx, scope: Scope, routeId) {
      let count = 0;
      for (const id of await store.idsNaming(tx, scope, routeId)) {
        await tx.lock('redaction_rules', id);
        const rule = await store.find(scope, id, tx);
        if (!rule?.routeIds?.includes(routeId)) continue;
        const routeIds = rule.routeIds.filter((one) => one !== routeId);
        await store.update(tx, scope, { ...rule, routeIds, updatedAtMs: clock.nowMs() });
        count++;
      }
      if (count > 0) await changed(tx, scope);
      return { redaction_rules_changed: count };
    },
  };
}
