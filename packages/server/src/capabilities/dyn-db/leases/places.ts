import type { Clock } from '../../../kernel/clock.js';
import type { DbConnectionId, TenantId } from '../../../kernel/ids.js';
import type { OpenDatabase } from '../connections/databases.js';
import { targetUnavailable } from '../errors.js';

/** Runs of the lease job at once in one process: connections whose leases are being ended. */
export const PLACES = 32;
/** Of them, for databases that do not answer: however many these are, the others have the rest to themselves. */
const SILENT_MAX = 16;
/** Of them, for one tenant, whose databases may log in, hang and be new each time. */
const OF_TENANT_MAX = 24;
/** Ending takes milliseconds: a tenant with many that take so long has to wait longer, so as not to ask in vain. */
const SLOW_MS = 5_000;
const SLOW_MAX = 8;
const WAIT_MS = 250;
const LONG_WAIT_MS = 15_000;
/** A log-in that takes longer is one of a database that does not answer. */
const PATIENCE_MS = 1_000;
const REMEMBERED_MAX = 10_000;

export type LogIn = (open: (signal: AbortSignal) => Promise<OpenDatabase>) => Promise<OpenDatabase>;

/** Many databases that hang delay none that answers, and no other tenant's (dyn-db.md §4). */
export function createPlaces({ clock }: { readonly clock: Clock }) {
  const silent = new Set<DbConnectionId>();
  const ofTenants = new Map<TenantId, Set<{ readonly sinceMs: number }>>();
  let taken = 0;

  return {
    /** How long the tenant's next connection has to wait; null = there is room. */
    waitMsOf(tenantId: TenantId): number | null {
      const held = [...(ofTenants.get(tenantId) ?? [])];
      if (held.length < OF_TENANT_MAX) return null;
      const nowMs = clock.monotonicMs();
      const slow = held.filter(({ sinceMs }) => nowMs - sinceMs >= SLOW_MS);
      return slow.length >= SLOW_MAX ? LONG_WAIT_MS : WAIT_MS;
    },

    async hold<T>(tenantId: TenantId, act: () => Promise<T>): Promise<T> {
      const place = { sinceMs: clock.monotonicMs() };
      const held = ofTenants.get(tenantId) ?? new Set();
      ofTenants.set(tenantId, held.add(place));
      try {
        return await act();
      } finally {
        held.delete(place);
        if (held.size === 0) ofTenants.delete(tenantId);
      }
    },

    /** Undefined, with nothing run: the database did not answer the last time, and too many are like it. */
    async within<T>(id: DbConnectionId, run: (logIn: LogIn) => Promise<T>): Promise<T | undefined> {
      const wasSilent = silent.has(id);
      let isTaken = false;
      function take(): boolean {
        if (!isTaken && taken < SILENT_MAX) {
          isTaken = true;
          taken += 1;
        }
        return isTaken;
      }
      function giveBack(): void {
        if (isTaken) taken -= 1;
        isTaken = false;
      }

      async function logIn(open: Parameters<LogIn>[0]): Promise<OpenDatabase> {
        const abort = new AbortController();
        const cancel = clock.setTimer(PATIENCE_MS, () => {
          if (!take()) abort.abort();
        });
        try {
          const opened = await open(abort.signal);
          // One that logs in and then hangs is known by its last run.
          if (!wasSilent) giveBack();
          return opened;
        } catch (error) {
          if (!abort.signal.aborted) throw error;
          throw targetUnavailable(`no log-in within ${PATIENCE_MS} ms, while ${SILENT_MAX} others wait`);
        } finally {
          cancel();
        }
      }

      if (wasSilent && !take()) return undefined;
      try {
        return await run(logIn);
      } finally {
        giveBack();
      }
    },

    /** How the last run with the database went. */
    heard(id: DbConnectionId): void {
      silent.delete(id);
    },
    notHeard(id: DbConnectionId): void {
      silent.add(id);
      const [oldest] = silent;
      if (silent.size > REMEMBERED_MAX && oldest !== undefined) silent.delete(oldest);
    },
  };
}
