import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../../kernel/clock.js';
import type { Actor } from '../../../kernel/principal.js';
import { batchReport, type JobContext, type JobReport } from '../../../platform/jobs/definition.js';
import type { Database } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { vaultEntry } from '../audit.js';
import type { ReaperStore, VaultPlace, VisitedVault } from './reaper-store.js';

const VAULTS_A_PAGE = 500;
const PAGES_A_RUN = 20;
/** Each gets its share of a batch, and a transaction. */
const DUE_VAULTS_A_RUN = 100;

export interface TokenReaper {
  removeExpired(
    context: Pick<JobContext, 'batchMax' | 'fence' | 'isStopping' | 'signal'>,
  ): Promise<JobReport>;
}

export interface TokenReaperDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly clock: Clock;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly store: ReaperStore;
}

/**
 * Removes what has expired, in rounds over the vaults of all tenants and modes: each run takes up the round where the
 * last one ended, and shares its rows among the vaults it finds due. So a vault with a million expired tokens keeps no
 * other waiting (docs/decisions/0051). That nobody reads an expired token is not its work: queries see to that.
 */
export function createTokenReaper({ db, clock, auditLogs, store }: TokenReaperDeps): TokenReaper {
  /** Where the round stands; null = at its begin. Another process begins its own. */
  let place: VaultPlace | null = null;

  /** The next due vaults of the round; `place` moves behind them. */
  async function nextDue(nowMs: number): Promise<VisitedVault[]> {
    const due: VisitedVault[] = [];
    for (let pages = 0; pages < PAGES_A_RUN; pages += 1) {
      const page = await store.vaultsAfter(place, nowMs, VAULTS_A_PAGE);
      for (const vault of page) {
        place = vault;
        if (vault.holdsExpired && due.push(vault) === DUE_VAULTS_A_RUN) return due;
      }
      if (page.length < VAULTS_A_PAGE) {
        place = null;
        return due;
      }
      await nextTurn();
    }
    return due;
  }

  return {
    async removeExpired({ batchMax, fence, isStopping, signal }) {
      const nowMs = clock.nowMs();
      const due = await nextDue(nowMs);
      const share = Math.max(1, Math.floor(batchMax / Math.max(1, due.length)));
      let rows = 0;
      let hasMore = place !== null;
      for (const vault of due) {
        if (isStopping() || signal.aborted) return batchReport(rows, true);
        const deleted = await db.transaction(async (tx) => {
          await fence(tx);
          const count = await store.deleteExpired(tx, vault, nowMs, share);
          if (count > 0) {
            const details = { reason: 'expired', tokens_deleted: count } as const;
            await auditLogs.record(tx, actorFor(vault), vaultEntry('vault.token.delete', vault, details));
          }
          return count;
        });
        rows += deleted;
        if (deleted === share) hasMore = true;
      }
      return batchReport(rows, hasMore);
    },
  };
}

/** Nobody called: the server itself keeps the time. */
function actorFor({ scope }: VaultPlace): Actor {
  return { scope, apiKeyId: null, userId: null, requestId: null, ip: null };
}
