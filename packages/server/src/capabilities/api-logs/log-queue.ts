import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../kernel/clock.js';
import { AppError, isAppError } from '../../kernel/errors.js';
import type { Database, Insertion } from '../../platform/storage/database.js';
import type { ApiLogEntry } from './api-log.js';
import type { ApiLogStore } from './store.js';

export interface LogQueueDeps {
  readonly db: Pick<Database, 'commitInserts'>;
  readonly store: Pick<ApiLogStore, 'insertion'>;
  readonly clock: Clock;
  /** A row that the database refuses for what it holds: the one way a row is lost, and it is told. */
  onRefusedRow(entry: ApiLogEntry, cause: unknown): void;
}

export interface LogQueue {
  /** Throws `dependency_unavailable` while the database is too far behind: no call starts whose row may not fit. */
  assertRoom(): void;
  append(entry: ApiLogEntry): void;
  queuedRows(): number;
  /** Resolves when every row appended so far is durable; rejects when the database does not take them. */
  flush(): Promise<void>;
}

/** Rows of calls in flight come on top, so the true bound is this and the number of connections. */
const QUEUED_ROWS_MAX = 20_000;
const BATCH_ROWS_MAX = 500;
const ROWS_A_TURN = 64;
/** Rows of that long share one commit: under load the sync is paid once for dozens of calls. */
const LINGER_MS = 50;

/** Collects the rows of finished calls and writes them in batches, one batch at a time, in order. */
export function createLogQueue(deps: LogQueueDeps): LogQueue {
  const queued: ApiLogEntry[] = [];
  let timerSet = false;
  let writing: Promise<void> | null = null;

  function startTimer(): void {
    if (timerSet) return;
    timerSet = true;
    deps.clock.setTimer(LINGER_MS, () => {
      timerSet = false;
      // The rows stay queued, and `write` has set the timer of the next try.
      write().catch(() => {});
    });
  }

  function write(): Promise<void> {
    writing ??= writeQueued().finally(() => {
      writing = null;
      if (queued.length > 0) startTimer();
    });
    return writing;
  }

  /** Only what is queued now: rows that come meanwhile linger as the first ones did. */
  async function writeQueued(): Promise<void> {
    for (let left = queued.length; left > 0; ) {
      const batch = queued.slice(0, Math.min(left, BATCH_ROWS_MAX));
      await writeBatch(batch);
      queued.splice(0, batch.length);
      left -= batch.length;
    }
  }

  /** The rows of 50 ms are a few milliseconds of work: in pieces, so that no call waits for all of it. */
  async function insertionsOf(batch: readonly ApiLogEntry[], loggedAtMs: number): Promise<Insertion[]> {
    const insertions: Insertion[] = [];
    for (const entry of batch) {
      insertions.push(deps.store.insertion(entry, loggedAtMs));
      if (insertions.length % ROWS_A_TURN === 0) await nextTurn();
    }
    return insertions;
  }

  async function writeBatch(batch: readonly ApiLogEntry[]): Promise<void> {
    const loggedAtMs = deps.clock.nowMs();
    try {
      await deps.db.commitInserts(await insertionsOf(batch, loggedAtMs));
    } catch (error) {
      if (isAppError(error, 'dependency_unavailable')) throw error;
      if (batch.length === 1) deps.onRefusedRow(batch[0]!, error);
      // One bad row must not take its neighbours with it.
      else for (const entry of batch) await writeBatch([entry]);
    }
  }

  return {
    assertRoom() {
      if (queued.length < QUEUED_ROWS_MAX) return;
      throw new AppError('dependency_unavailable', 'The request log cannot take more at the moment', {
        dependency: 'request_log',
      });
    },
    append(entry) {
      queued.push(entry);
      startTimer();
    },
    queuedRows: () => queued.length,
    async flush() {
      if (writing !== null) await writing;
      if (queued.length > 0) await write();
    },
  };
}
