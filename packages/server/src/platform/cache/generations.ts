import type { Clock } from '../../kernel/clock.js';
import type { Database, TableSet, Transaction } from '../storage/database.js';
import type { Migration } from '../storage/migration.js';
import { generationsMigration } from './migrations/0002-generations.js';
import { generationStampsMigration } from './migrations/0022-generation-stamps.js';

/**
 * Which cached things have changed. A change bumps its name in the transaction that makes it; every process reads
 * what is new each 500 ms. A cache keeps the generation it was filled under and drops what is older.
 */
export interface Generations {
  /** Bumps in the transaction; this process sees it the moment the commit is durable, others within 500 ms. */
  bump(tx: Transaction, name: string): Promise<void>;
  current(name: string): number;
  /** False when the poll has failed for 1 s: cached credentials are then not honoured (auth.md §1.3). */
  isFresh(): boolean;
  /** Hears of every change that this process learns of, its own ones included: for what must leave memory then. */
  onChange(listener: (name: string) => void): void;
  /** Reads at once, for who finds it not fresh: a busy process is late with its poll. False where it still is not. */
  refresh(): Promise<boolean>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

interface GenerationRow {
  name: string;
  generation: number;
  changed_at: number;
}

const TABLES: TableSet<{ generations: GenerationRow }> = { generations: { scope: 'system' } };

export const migrations: readonly Migration[] = [generationsMigration, generationStampsMigration];

const POLL_MS = 500;
const FRESH_MS = 1_000;
/** Each poll looks back this far behind the newest stamp: a change is stamped before it is committed. */
const LOOK_BACK_MS = 60_000;

export function createGenerations({ db, clock }: { db: Database; clock: Clock }): Generations {
  const view = db.view<{ generations: GenerationRow }>(TABLES);
  const changedSince = view.defineSystem<{ since: number }, GenerationRow>(
    'generations_changed_since',
    'generations',
    (queries, arg) =>
      queries
        .selectFrom('generations')
        .select(['name', 'generation', 'changed_at'])
        .where('changed_at', '>=', arg('since')),
  );
  const known = new Map<string, number>();
  const listeners: ((name: string) => void)[] = [];
  let freshAtMs = Number.NEGATIVE_INFINITY;
  /** By the clock of the stamps, which need not be ours (docs/decisions/0047). */
  let newestStampMs = 0;
  let refreshing: Promise<boolean> | null = null;
  let cancelTimer = () => {};
  let polling: Promise<void> = Promise.resolve();
  let running = false;

  function learn(name: string, generation: number): void {
    if (generation <= (known.get(name) ?? 0)) return;
    known.set(name, generation);
    for (const listener of listeners) listener(name);
  }

  /** From what was read last on, however long ago: what changed during an outage must not be missed. */
  async function poll(): Promise<void> {
    const startedAtMs = clock.monotonicMs();
    // Our own time only ever widens the look: a clock that was set back stamps below what has been read.
    const since = Math.max(0, Math.min(newestStampMs, clock.nowMs()) - LOOK_BACK_MS);
    for (const row of await changedSince.all(null, { since })) {
      learn(row.name, row.generation);
      newestStampMs = Math.max(newestStampMs, row.changed_at);
    }
    freshAtMs = startedAtMs;
  }

  function isFresh(): boolean {
    return clock.monotonicMs() - freshAtMs < FRESH_MS;
  }

  function schedule(): void {
    cancelTimer = clock.setTimer(POLL_MS, () => {
      // A poll that fails is seen by `isFresh`, which those ask who depend on it.
      polling = poll()
        .catch(() => {})
        .finally(() => running && schedule());
    });
  }

  return {
    async bump(tx, name) {
      // On PostgreSQL the database's own time takes its place.
      const changedAt = clock.nowMs();
      const rows = await view
        .system('generations', tx)
        .insertInto('generations')
        .values({ name, generation: 1, changed_at: changedAt })
        .onConflict((conflict) =>
          conflict.column('name').doUpdateSet((eb) => ({
            generation: eb('generations.generation', '+', 1),
            changed_at: changedAt,
          })),
        )
        .returning('generation')
        .execute();
      for (const row of rows) tx.afterCommit(() => learn(name, row.generation));
    },
    current: (name) => known.get(name) ?? 0,
    isFresh,
    onChange: (listener) => void listeners.push(listener),
    refresh() {
      // A read that took as long as that shows what was, not what is.
      refreshing ??= poll()
        .then(isFresh, () => false)
        .finally(() => {
          refreshing = null;
        });
      return refreshing;
    },
    async start() {
      await poll();
      running = true;
      schedule();
    },
    async stop() {
      running = false;
      cancelTimer();
      await polling;
    },
  };
}
