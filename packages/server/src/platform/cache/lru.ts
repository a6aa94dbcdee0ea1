import type { Clock } from '../../kernel/clock.js';

export interface LruOptions<K> {
  readonly entriesMax: number;
  readonly clock: Clock;
  readonly ttlMs?: number;
  /** The generation of what a key's entry was made from; an entry of an older one is not given out. */
  readonly generation?: (key: K) => number;
  /** False while changes may go unseen: then nothing cached is given out (contract auth.md §1.3). */
  readonly isFresh?: () => boolean;
}

/**
 * Bounded; what was used longest ago leaves first, give or take a quarter of the entries: what is asked for at every
 * request is not moved to the end at every request.
 */
export interface Lru<K, V> {
  get(key: K): V | undefined;
  /** The cached value, else what `read` gives; those who ask for a key meanwhile share one read. */
  load(key: K, read: () => Promise<V>): Promise<V>;
  delete(key: K): void;
  readonly size: number;
}

interface Entry<V> {
  readonly value: V;
  readonly generation: number;
  readonly expiresAtMs: number;
  /** Of the entry's last move to the end. */
  turn: number;
}

export function createLru<K, V>(options: LruOptions<K>): Lru<K, V> {
  const { clock, entriesMax, ttlMs = Number.POSITIVE_INFINITY } = options;
  const entries = new Map<K, Entry<V>>();
  const reads = new Map<K, { generation: number; value: Promise<V> }>();
  const generationOf = options.generation ?? (() => 0);
  const isFresh = options.isFresh ?? (() => true);
  let turn = 0;

  function get(key: K): V | undefined {
    const entry = entries.get(key);
    if (!entry || !isFresh()) return undefined;
    if (entry.generation !== generationOf(key) || clock.monotonicMs() >= entry.expiresAtMs) {
      entries.delete(key);
      return undefined;
    }
    if (turn - entry.turn > entriesMax / 4) {
      entry.turn = ++turn;
      entries.delete(key);
      entries.set(key, entry);
    }
    return entry.value;
  }

  function keep(key: K, value: V, generation: number): void {
    entries.delete(key);
    const oldest = entries.keys().next();
    if (entries.size >= entriesMax && !oldest.done) entries.delete(oldest.value);
    entries.set(key, { value, generation, expiresAtMs: clock.monotonicMs() + ttlMs, turn: ++turn });
  }

  return {
    get,
    async load(key, read) {
      const cached = get(key);
      if (cached !== undefined) return cached;
      // Taken before the read: a change during it makes the entry old, and no asker after it shares the read.
      const generation = generationOf(key);
      const shared = reads.get(key);
      if (shared?.generation === generation) return shared.value;
      const reading = { generation, value: read() };
      reads.set(key, reading);
      try {
        const value = await reading.value;
        if (reads.get(key) === reading) keep(key, value, generation);
        return value;
      } finally {
        if (reads.get(key) === reading) reads.delete(key);
      }
    },
    delete(key) {
      entries.delete(key);
      reads.delete(key);
    },
    get size() {
      return entries.size;
    },
  };
}
