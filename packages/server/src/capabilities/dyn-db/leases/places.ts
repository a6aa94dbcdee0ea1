import type { Clock } from '../../../kernel/clock.js';
import type { DbConnectionId } from '../../../kernel/ids.js';
import type { OpenDatabase } from '../connections/databases.js';
import { targetUnavailable } from '../errors.js';

/** Runs of the lease job at once in one process: connections whose leases are being ended. */
export const PLACES = 32;
/** Of them, for databases that do not answer: however many these are, the others have the rest to themselves. */
const SILENT_MAX = 16;
/** A log-in that takes longer is one of a database that does not answer. */
const PATIENCE_MS = 1_000;
const REMEMBERED_MAX = 10_000;

export type LogIn = (open: (signal: AbortSignal) => Promise<OpenDatabase>) => Promise<OpenDatabase>;

export type Places = ReturnType<typeof createPlaces>;

/** Many databases that hang delay none that answers (dyn-db.md §4). */
export function createPlaces({ clock }: { readonly clock: Clock }) {
  const silent = new Set<DbConnectionId>();
  let taken = 0;

  return {
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
