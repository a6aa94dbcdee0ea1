import type { Clock } from '../../kernel/clock.js';
import type { ApiKeyId, Scope } from '../../kernel/ids.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database } from '../../platform/storage/database.js';
import type { ApiKeyStore } from './store.js';

/** Merges uses in memory: one write a key a minute, however often it is used (auth.md §1.3). */
export interface LastUsed {
  record(scope: Scope, id: ApiKeyId): void;
  /** Writes what is pending, and no more by the clock; called at shutdown. */
  stop(): Promise<void>;
}

const WRITE_INTERVAL_MS = 60_000;
/** Beyond this many keys in a minute the rest of their uses is not recorded: the column is a hint, not an audit. */
const KEYS_MAX = 50_000;
/** Rows of one transaction: it holds the only writer of an embedded database. */
const BATCH_ROWS = 200;

export function createLastUsed(deps: {
  db: Database;
  store: Pick<ApiKeyStore, 'setLastUsed'>;
  clock: Clock;
  logger: Pick<Logger, 'warn'>;
}): LastUsed {
  const { clock, db, store } = deps;
  let pending = new Map<ApiKeyId, { scope: Scope; atMs: number }>();
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
      .catch((error: unknown) => deps.logger.warn({ err: error }, 'last use of keys was not written'));
    return writing;
  }

  return {
    record(scope, id) {
      if (pending.size >= KEYS_MAX && !pending.has(id)) return;
      pending.set(id, { scope, atMs: clock.nowMs() });
      cancelTimer ??= clock.setTimer(WRITE_INTERVAL_MS, () => void flush());
    },
    stop: flush,
  };
}
