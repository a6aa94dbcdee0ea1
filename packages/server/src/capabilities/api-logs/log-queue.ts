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
  /** A row that is lost, and why: the database refuses what it holds, or the queue is beyond its bound. */
  onLostRow(entry: ApiLogEntry, cause: unknown): void;
}

export interface LogQueue {
  /** Throws `dependency_unavailable` while the database is too far behind: no call starts whose row may not fit. */
  assertRoom(): void;
  /** `beside`: what is to be durable with the row, in the same file. */
  append(entry: ApiLogEntry, beside?: readonly Insertion[]): void;
  /** What is written as rows are, without one. */
  appendAlone(insertion: Insertion): void;
  queuedRows(): number;
  /** Resolves when every row appended so far is durable; rejects when the database does not take them. */
  flush(): Promise<void>;
}

const QUEUED_ROWS_MAX = 20_000;
/** On top: rows of calls that had begun, and of those that are refused for want of room. */
const FURTHER_ROWS_MAX = 10_000;
const BATCH_ROWS_MAX = 500;
/** Rows built in one turn of the loop, or the eighth part of the queue where that is more: it must not fall behind. */
const ROWS_A_TURN_MIN = 64;
const TURNS_TO_BUILD = 8;
/** Rows of that long share one commit: under load the sync is paid once for dozens of calls. */
const LINGER_MS = 50;

interface Queued {
  readonly entry: ApiLogEntry | null;
  readonly beside: readonly Insertion[];
}

const NOTHING: readonly Insertion[] = [];

/** Collects the rows of finished calls and writes them in batches, one batch at a time, in order. */
export function createLogQueue(deps: LogQueueDeps): LogQueue {
  const queued: Queued[] = [];
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
      await writeFirst(batch);
      left -= batch.length;
    }
  }

  /** The rows of 50 ms are a few milliseconds of work: in pieces, so that no call waits for all of it. */
  async function insertionsOf(batch: readonly Queued[], loggedAtMs: number): Promise<Insertion[]> {
    const insertions: Insertion[] = [];
    const rowsATurn = Math.max(ROWS_A_TURN_MIN, Math.ceil(queued.length / TURNS_TO_BUILD));
    let built = 0;
    for (const { entry, beside } of batch) {
      if (built > 0 && built % rowsATurn === 0) await nextTurn();
      built++;
      if (entry !== null) insertions.push(deps.store.insertion(entry, loggedAtMs));
      if (beside.length > 0) insertions.push(...beside);
    }
    return insertions;
  }

  /** The first rows of the queue leave it once they are durable, or refused: a later failure brings none of them again. */
  async function writeFirst(batch: readonly Queued[]): Promise<void> {
    const loggedAtMs = deps.clock.nowMs();
    try {
      await deps.db.commitInserts(await insertionsOf(batch, loggedAtMs));
    } catch (error) {
      if (isAppError(error, 'dependency_unavailable')) throw error;
      if (batch.length > 1) {
        // One bad row must not take its neighbours with it.
        for (const one of batch) await writeFirst([one]);
        return;
      }
      lose(batch[0]!, error);
    }
    queued.splice(0, batch.length);
  }

  function lose({ entry }: Queued, cause: unknown): void {
    if (entry !== null) deps.onLostRow(entry, cause);
  }

  function push(one: Queued): void {
    if (queued.length < QUEUED_ROWS_MAX + FURTHER_ROWS_MAX) queued.push(one);
    else lose(one, new Error('the queue of the request log is full'));
    startTimer();
  }

  return {
    assertRoom() {
      if (queued.length < QUEUED_ROWS_MAX) return;
      throw new AppError('dependency_unavailable', 'The request log cannot take more at the moment', {
        dependency: 'request_log',
      });
    },
    append: (entry, beside = NOTHING) => push({ entry, beside }),
    appendAlone: (insertion) => push({ entry: null, beside: [insertion] }),
    queuedRows: () => queued.length,
    async flush() {
      if (writing !== null) await writing;
      if (queued.length > 0) await write();
    },
  };
}
