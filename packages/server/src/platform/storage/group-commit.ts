import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Insertion } from './database.js';
import { databaseUnavailable } from './engine.js';

export interface GroupCommitOptions {
  /** One commit of many groups; the answer says per group what refused it. Throws when nothing was committed. */
  commit(groups: readonly (readonly Insertion[])[]): Promise<readonly (Error | undefined)[]>;
  readonly batchRowsMax: number;
  readonly batchBytesMax: number;
  readonly queueRowsMax: number;
  readonly queueBytesMax: number;
}

export interface GroupCommit {
  /** Resolves when the rows are durable, together or not at all. */
  add(rows: readonly Insertion[], bytes: number): Promise<void>;
  flush(): Promise<void>;
  /** Rows accepted and not yet durable. */
  queuedRows(): number;
  /** Refuses what comes later and waits for what was accepted. */
  close(): Promise<void>;
}

/** Callers that go on in one turn of the loop, or the eighth part of those that wait where that is more. */
const SETTLED_A_TURN_MIN = 8;
const TURNS_TO_SETTLE = 8;
/** Behind a batch of so many groups others will follow at once ... */
const BUSY_GROUPS_MIN = 5;
/** ... so the next waits this long for them, or until it has that many: a commit costs as much as a dozen rows. */
const LINGER_TURNS = 4;
const LINGER_GROUPS_MAX = 32;

interface Entry {
  readonly rows: readonly Insertion[];
  readonly bytes: number;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Joins the insertions of one event-loop turn, and all that arrive while the former batch is on its way, into one
 * commit. A fixed window would be slower than either (architecture, "Group commit"): it is waited for only where many
 * call, and in turns of the loop, which are short where nothing else is to be done.
 */
export function createGroupCommit(options: GroupCommitOptions): GroupCommit {
  let queue: Entry[] = [];
  let queuedRows = 0;
  let queuedBytes = 0;
  let unsettled = 0;
  let running: Promise<void> | null = null;
  let tail: Promise<void> = Promise.resolve();
  let settled: Promise<void> = Promise.resolve();
  let closed = false;

  function takeBatch(): Entry[] {
    let rows = 0;
    let bytes = 0;
    let count = 0;
    for (const entry of queue) {
      // The first entry always goes, however large: it was accepted.
      const fits =
        rows + entry.rows.length <= options.batchRowsMax && bytes + entry.bytes <= options.batchBytesMax;
      if (count > 0 && !fits) break;
      rows += entry.rows.length;
      bytes += entry.bytes;
      count++;
    }
    const batch = queue.slice(0, count);
    queue = queue.slice(count);
    return batch;
  }

  /** What was committed, or why not: one outcome for each entry. */
  async function commitBatch(batch: readonly Entry[]): Promise<readonly unknown[]> {
    try {
      return await options.commit(batch.map((entry) => entry.rows));
    } catch (error) {
      return batch.map(() => error);
    }
  }

  function settledATurn(): number {
    return Math.max(SETTLED_A_TURN_MIN, Math.ceil(unsettled / TURNS_TO_SETTLE));
  }

  /** A few callers a turn: each goes on at once with work of its own, and the loop must not stand still for all of it. */
  async function settle(batch: readonly Entry[], outcomes: readonly unknown[]): Promise<void> {
    let leftThisTurn = settledATurn();
    for (const [index, entry] of batch.entries()) {
      if (leftThisTurn-- === 0) {
        await nextTurn();
        leftThisTurn = settledATurn() - 1;
      }
      unsettled--;
      queuedRows -= entry.rows.length;
      queuedBytes -= entry.bytes;
      if (outcomes[index] === undefined) entry.resolve();
      else entry.reject(outcomes[index]);
    }
  }

  async function linger(): Promise<void> {
    for (let turn = 0; turn < LINGER_TURNS && queue.length < LINGER_GROUPS_MAX && !closed; turn++) {
      await nextTurn();
    }
  }

  async function drain(): Promise<void> {
    await nextTurn();
    while (queue.length > 0) {
      const batch = takeBatch();
      const outcomes = await commitBatch(batch);
      unsettled += batch.length;
      // In order, and while the next batch is on its way.
      settled = settled.then(() => settle(batch, outcomes));
      if (batch.length >= BUSY_GROUPS_MIN) await linger();
    }
    running = null;
  }

  return {
    add(rows, bytes) {
      if (closed) return Promise.reject(databaseUnavailable('the database is closed'));
      if (queuedRows + rows.length > options.queueRowsMax || queuedBytes + bytes > options.queueBytesMax) {
        return Promise.reject(databaseUnavailable('the queue of the group commit is full'));
      }
      queuedRows += rows.length;
      queuedBytes += bytes;
      tail = new Promise<void>((resolve, reject) => queue.push({ rows, bytes, resolve, reject }));
      running ??= drain();
      return tail;
    },
    async flush() {
      // First come, first committed: when the last accepted entry is settled, all before it are.
      await tail.catch(() => {});
    },
    queuedRows: () => queuedRows,
    async close() {
      closed = true;
      await running;
      await settled;
    },
  };
}
