import type { Clock } from '../../kernel/clock.js';
import type { IdSource, TenantId } from '../../kernel/ids.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database } from '../../platform/storage/database.js';
import { operationsUsedUp } from './errors.js';
import { type Month, monthOf } from './month.js';
import type { PlansStore } from './store.js';

/** One tenant's live operations of the running month, as this process knows them. */
export interface TenantOperations {
  /** Refuses when `limit` is reached; reads the stored count where it is not known yet. */
  assertRoom(limit: number): Promisable<void>;
  /** Counts one; refuses when others took the last one meanwhile. */
  count(limit: number | null): void;
}

export interface OperationCounters {
  of(tenantId: TenantId): TenantOperations;
  /** Of the running month, over all processes; what others have not written yet is missing. */
  used(tenantId: TenantId): Promise<number>;
  /** Writes what is pending, and no more by the clock; called at shutdown. */
  stop(): Promise<void>;
}

/** What a crash loses: the operations of so long, and of a write under way. */
const WRITE_AFTER_MS = 1_000;
/** Tenants of one transaction: it holds the only writer of an embedded database. */
const BATCH_TENANTS = 200;
const TENANTS_KEPT = 10_000;
const OLD_BATCH_MS = 24 * 60 * 60 * 1000;

interface Increment {
  readonly entry: Entry;
  readonly month: Month;
  readonly count: number;
}

interface Batch {
  readonly id: string;
  readonly increments: readonly Increment[];
}

/**
 * Counts in memory and adds to shared rows once a second. A batch is marked in its own transaction, so that one whose
 * answer was lost is not added twice: counts err towards too few, by one batch (docs/decisions/0034).
 */
export function createOperationCounters(deps: {
  db: Database;
  store: PlansStore;
  clock: Clock;
  ids: IdSource;
  logger: Pick<Logger, 'warn'>;
}): OperationCounters {
  const { db, store, clock, ids, logger } = deps;
  const entries = new Map<TenantId, Entry>();
  const dirty = new Set<Entry>();
  const unwritten: Increment[] = [];
  let batch: Batch | null = null;
  /** An answer that was lost may have been a success. */
  let isOutcomeUnknown = false;
  let writtenBatchId: string | null = null;
  let turn: Promise<void> = Promise.resolve();
  let cancelTimer: (() => void) | null = null;

  function touch(entry: Entry): void {
    dirty.add(entry);
    schedule();
  }

  function schedule(): void {
    cancelTimer ??= clock.setTimer(WRITE_AFTER_MS, () => {
      cancelTimer = null;
      void inTurn(writeAll).catch((error: unknown) => {
        logger.warn({ err: error }, 'counted operations were not written; they are tried again');
        schedule();
      });
    });
  }

  /** One after the other: a read beside a write could count the same operations twice, or not at all. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = turn.then(work);
    turn = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  /** What is counted while this writes waits for the next second: a busy tenant would be written without end. */
  async function writeAll(): Promise<void> {
    for (const entry of dirty) entry.collect();
    dirty.clear();
    for (;;) {
      batch ??= nextBatch();
      if (batch === null) return;
      await write(batch).catch((error: unknown) => {
        isOutcomeUnknown = true;
        throw error;
      });
      isOutcomeUnknown = false;
      batch = null;
    }
  }

  function nextBatch(): Batch | null {
    const increments = unwritten.splice(0, BATCH_TENANTS);
    return increments.length === 0 ? null : { id: ids.uuid(), increments };
  }

  async function write({ id, increments }: Batch): Promise<void> {
    const nowMs = clock.nowMs();
    if (writtenBatchId === null) await store.removeOldBatches(nowMs - OLD_BATCH_MS);
    const isWritten = isOutcomeUnknown && (await store.hasBatch(id));
    const totals = isWritten
      ? null
      : await db.transaction(async (tx) => {
          await store.markBatch(tx, id, nowMs, writtenBatchId);
          const sums: number[] = [];
          for (const { entry, month, count } of increments)
            sums.push(await store.addOperations(tx, entry.tenantId, month.number, count, nowMs));
          return sums;
        });
    writtenBatchId = id;
    for (const [i, { entry, month, count }] of increments.entries())
      entry.written(month, count, totals?.[i] ?? null);
  }

  function entryOf(tenantId: TenantId): Entry {
    const known = entries.get(tenantId);
    if (known) return known;
    const oldest = entries.keys().next();
    // Whoever still holds that one counts on with it: what it has counted is written all the same.
    if (entries.size >= TENANTS_KEPT && !oldest.done) entries.delete(oldest.value);
    const entry = new Entry(tenantId, { clock, add: (increment) => unwritten.push(increment), touch, read });
    entries.set(tenantId, entry);
    return entry;
  }

  function read(entry: Entry): Promise<void> {
    return inTurn(async () => {
      const month = monthOf(clock.nowMs());
      entry.learn(month, await store.operations(entry.tenantId, month.number));
    });
  }

  return {
    of: entryOf,
    async used(tenantId) {
      const entry = entryOf(tenantId);
      await read(entry);
      return entry.known();
    },
    async stop() {
      cancelTimer?.();
      cancelTimer = null;
      await inTurn(writeAll).catch((error: unknown) =>
        logger.warn({ err: error }, 'counted operations were not written'),
      );
    },
  };
}

interface EntryDeps {
  readonly clock: Clock;
  add(increment: Increment): void;
  touch(entry: Entry): void;
  read(entry: Entry): Promise<void>;
}

class Entry implements TenantOperations {
  readonly #deps: EntryDeps;
  #month: Month;
  /** As of the last read or write; null until then. */
  #stored: number | null = null;
  /** Handed over to be written, but not known to be. */
  #onItsWay = 0;
  #pending = 0;

  constructor(
    readonly tenantId: TenantId,
    deps: EntryDeps,
  ) {
    this.#deps = deps;
    this.#month = monthOf(deps.clock.nowMs());
  }

  assertRoom(limit: number): Promisable<void> {
    this.#turnMonth();
    if (this.#stored === null) return this.#deps.read(this).then(() => this.#refuseAbove(limit));
    this.#refuseAbove(limit);
  }

  count(limit: number | null): void {
    this.#turnMonth();
    if (limit !== null) this.#refuseAbove(limit);
    this.#pending += 1;
    if (this.#pending === 1) this.#deps.touch(this);
  }

  known(): number {
    this.#turnMonth();
    return (this.#stored ?? 0) + this.#onItsWay + this.#pending;
  }

  learn(month: Month, stored: number): void {
    this.#turnMonth();
    if (month.number === this.#month.number) this.#stored = stored;
  }

  collect(): void {
    if (this.#pending === 0) return;
    this.#deps.add({ entry: this, month: this.#month, count: this.#pending });
    this.#onItsWay += this.#pending;
    this.#pending = 0;
  }

  /** Without a total the sum is made from what was known. */
  written(month: Month, count: number, total: number | null): void {
    if (month.number !== this.#month.number) return;
    this.#onItsWay -= count;
    if (total !== null) this.#stored = total;
    else if (this.#stored !== null) this.#stored += count;
  }

  #refuseAbove(limit: number): void {
    if (this.known() >= limit) throw operationsUsedUp(limit);
  }

  #turnMonth(): void {
    const nowMs = this.#deps.clock.nowMs();
    if (nowMs < this.#month.endMs) return;
    this.collect();
    this.#month = monthOf(nowMs);
    this.#stored = null;
    this.#onItsWay = 0;
  }
}
