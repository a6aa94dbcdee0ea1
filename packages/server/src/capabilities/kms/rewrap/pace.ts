/** What the last batch cost this server and those who wait for it. */
export interface BatchCost {
  /** The longest turn of the event loop meanwhile that others filled. */
  readonly loopLagMs: number;
  /** For the database's writer, or a connection. */
  readonly waitedMs: number;
  /** From the first statement of the transaction until it was durable: others waited that long. */
  readonly heldMs: number;
}

export interface Pace {
  /** Of the next batch. */
  readonly rows: number;
  /** To stand back before it. */
  readonly pauseMs: number;
}

/** 100 rows in 5 s is what the documentation promises however busy the server is (kms-admin.md §3.5). */
const ROWS_MIN = 100;
const PAUSE_MS_MAX = 5_000;
const ROWS_MAX = 500;
const PAUSE_MS_MIN = 20;

/** An idle server stays below these, one that others keep busy does not. */
const LAG_MS_MAX = 10;
const WAITED_MS_MAX = 20;
/** A batch that holds the database no longer than this is hardly noticed. */
const HELD_MS_MAX = 30;

export const FIRST_PACE: Pace = { rows: 200, pauseMs: 0 };

/** Goes back at once where others suffer and comes up step by step, as senders on a shared line do (RFC 5681 §3.1). */
export function nextPace({ rows, pauseMs }: Pace, cost: BatchCost): Pace {
  if (cost.loopLagMs > LAG_MS_MAX || cost.waitedMs > WAITED_MS_MAX) {
    return {
      rows: Math.max(ROWS_MIN, Math.floor(rows / 2)),
      pauseMs: Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, pauseMs * 2)),
    };
  }
  const isHeldLong = cost.heldMs > HELD_MS_MAX;
  return {
    rows: isHeldLong ? Math.max(ROWS_MIN, Math.floor(rows * 0.7)) : Math.min(ROWS_MAX, rows + ROWS_MIN),
    pauseMs: pauseMs <= PAUSE_MS_MIN ? 0 : Math.floor(pauseMs / 2),
  };
}
