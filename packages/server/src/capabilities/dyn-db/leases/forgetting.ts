import type { Clock } from '../../../kernel/clock.js';
import type { DbConnectionId, DbRoleId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import type { Database } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { leaseEntry } from '../audit.js';
import type { LeaseClaims } from './claims.js';
import type { LeaseStore } from './store.js';

export interface ForgettingDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly clock: Clock;
  readonly leases: Pick<LeaseStore, 'liveOf'>;
  readonly claims: Pick<LeaseClaims, 'forget'>;
  readonly auditLogs: Pick<AuditLogs, 'recordAll'>;
}

export type Forgetting = ReturnType<typeof createForgetting>;

/** What becomes of leases whose database is given up (dyn-db.md §4): each row names the user that it leaves behind. */
export function createForgetting({ db, clock, leases, claims, auditLogs }: ForgettingDeps) {
  return {
    async forgetAll(caller: Caller, connectionId: DbConnectionId, roleId: DbRoleId | null): Promise<number> {
      const { scope } = caller.principal;
      let forgotten = 0;
      for (;;) {
        const count = await db.transaction(async (tx) => {
          const live = await leases.liveOf(scope, connectionId, roleId, LIMITS.leasesChangedAtOnce, tx);
          if (live.length === 0) return 0;
          const ids = live.map(({ id }) => id);
          await claims.forget(tx, scope, ids, 'forgotten', clock.nowMs());
          const entries = live.map((lease) => leaseEntry('dyn_db.lease.force_forget', lease));
          await auditLogs.recordAll(tx, actorOf(caller), entries);
          return live.length;
        });
        forgotten += count;
        if (count === 0) return forgotten;
      }
    },
  };
}
