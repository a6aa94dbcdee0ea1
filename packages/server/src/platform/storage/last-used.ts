import type { Clock } from '../../kernel/clock.js';
import type { Scope } from '../../kernel/ids.js';
import type { Logger } from '../log/logger.js';
import type { Database, Transaction } from './database.js';

/** Merges uses in memory: one write a credential a minute, however often it is used (auth.md §1.3). */
export interface LastUsed<Id extends string> {
  record(scope: Scope, id: Id): void;
  /** Writes what is pending, and no more by the clock; called at shutdown. */
  stop(): Promise<void>;
}

const WRITE_INTERVAL_MS = 60_000;
/** Beyond this many in a minute the rest of their uses is not recorded: the column is a hint, not an audit. */
const CREDENTIALS_MAX = 50_000;
/** Rows of one transaction: it holds the only writer of an embedded database. */
const BATCH_ROWS = 200;

export interface LastUsedDeps<Id extends string> {
  readonly db: Database;
  readonly store: { setLastUsed(tx: Transaction, scope: Scope, id: Id, atMs: number): Promise<void> };
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn'>;
}

export function createLastUsed<Id extends string>(deps: LastUsedDeps<Id>): LastUsed<Id> {
  const { clock, db, store } = deps;
  let pending = new Map<Id, { scope: Scope; atMs: number }>();
  let writing: Promise<void> = Promise.resolve();
  let cancelTimer: (() => void) | null = null;

  async function write(): Promise<void> {
    const uses = [...pending];
    pending = new Map();
    for (let from = 0; from < uses.length; from += BATCH_ROWS) {
      const batch = uses.slice(from, from + BATCH_ROWS);
      await db.transaction(async (tx) => {
        for (const [id, { scope, atMs }] of batch) await store.setLastUsed(tx, scope, id, atMs);
      });
    }
  }

  function flush(): Promise<void> {
    cancelTimer?.();
    cancelTimer = null;
    // One write after another; a lost hint must not fail the request or the shutdown that it follows.
    writing = writing
      .then(write)
      .catch((error: unknown) => deps.logger.warn({ err: error }, 'last use of credentials was not written'));
    return writing;
  }

  return {
    record(scope, id) {
      if (pending.size >= CREDENTIALS_MAX && !pending.has(id)) return;
      pending.set(id, { scope, atMs: clock.nowMs() });
      cancelTimer ??= clock.setTimer(WRITE_INTERVAL_MS, () => void flush());
    },
    stop: flush,
  };
}
