import type { Clock } from '../../kernel/clock.js';
import type { Scope } from '../../kernel/ids.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { CacheCounts } from '../../platform/cache/lru.js';
import { createScopeCache } from '../../platform/cache/scope-cache.js';
import { createHostList, type HostList } from '../../platform/egress/name-policy.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Database } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { allowlistEntry } from './audit.js';
import { createEgressAllowlistStore } from './store.js';

export interface EgressAllowlist {
  /** In order of their names; empty = every public host. */
  get(caller: Caller): Promise<readonly string[]>;
  replace(caller: Caller, hosts: readonly string[]): Promise<readonly string[]>;
  /** Where calls of that tenant and mode may go; known at once but for the first call after a change. */
  hostsFor(scope: Scope): Promisable<HostList>;
}

export interface EgressAllowlistDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly generations: Pick<Generations, 'bump' | 'current' | 'isFresh'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly cacheCounts?: CacheCounts;
}

export function createEgressAllowlist(deps: EgressAllowlistDeps): EgressAllowlist {
  const { db, clock, generations, auditLogs } = deps;
  const store = createEgressAllowlistStore(db);
  const lists = createScopeCache<HostList>({
    name: 'egress-allowlist',
    generations,
    counts: deps.cacheCounts,
    load: async (scope) => createHostList(await store.hosts(scope)),
  });

  return {
    get: (caller) => store.hosts(caller.principal.scope),

    async replace(caller, hosts) {
      const { scope } = caller.principal;
      await db.transaction(async (tx) => {
        // Holds its row until the commit, so that of two writers the second reads what the first wrote.
        await lists.changed(tx, scope);
        const former = await store.hosts(scope, tx);
        await store.replace(tx, scope, hosts, clock.nowMs());
        await auditLogs.record(tx, actorOf(caller), allowlistEntry(scope, former, hosts));
        await recordAnswer(tx, caller, hosts);
      });
      return hosts;
    },

    hostsFor: (scope) => lists.get(scope),
  };
}
