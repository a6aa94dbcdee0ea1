import type { Counter, Instruments } from '../telemetry/instruments.js';

export interface LruOptions<K, V> {
  /** Of the weights together, where entries are weighed. */
  readonly entriesMax: number;
  /** 1 unless given: how many usual entries a value takes the room of. */
  readonly weigh?: (value: V) => number;
  /** The generation of what a key's entry was made from; an entry of an older one is not given out. */
  readonly generation?: (key: K) => number;
  /** False while changes may go unseen: then nothing cached is given out (contract auth.md §1.3). */
  readonly isFresh?: () => boolean;
  readonly counts?: CacheCounts;
}

export interface CacheCounts {
  readonly hits: Counter;
  /** Reads that a `load` made; who only looks counts no miss. */
  readonly misses: Counter;
}

export function cacheCounts(instruments: Instruments, cache: string): CacheCounts {
  return {
    hits: instruments.counter('knox_cache_hits_total', 'Lookups that a cache answered.', { cache }),
    misses: instruments.counter('knox_cache_misses_total', 'Lookups that had to be read.', { cache }),
  };
}

/**
 * Bounded; what was used longest ago leaves first, give or take a quarter of the entries: what is asked for at every
 * request is not moved to the end at every request.
 */
export interface Lru<K, V> {
  get(key: K): V | undefined;
  /** The cached value, else what `read` gives; those who ask for a key meanwhile share one read. */
  load(key: K, read: () => Promise<V>): Promise<V>;
  /** For what is made at once, without a read that others could share. */
  put(key: K, value: V): void;
  delete(key: K): void;
  readonly size: number;
}

interface Entry<V> {
  readonly value: V;
  readonly weight: number;
  readonly generation: number;
  /** Of the entry's last move to the end. */
  turn: number;
}

export function createLru<K, V>(options: LruOptions<K, V>): Lru<K, V> {
  const { entriesMax, counts } = options;
  const entries = new Map<K, Entry<V>>();
  const reads = new Map<K, { generation: number; value: Promise<V> }>();
  const generationOf = options.generation ?? (() => 0);
  const isFresh = options.isFresh ?? (() => true);
  const weigh = options.weigh ?? (() => 1);
  let weightTotal = 0;
  /** Weight that was put at the end so far. */
  let turn = 0;

  function drop(key: K): void {
    weightTotal -= entries.get(key)?.weight ?? 0;
    entries.delete(key);
  }

  function get(key: K): V | undefined {
    const entry = entries.get(key);
    if (!entry || !isFresh()) return undefined;
    if (entry.generation !== generationOf(key)) {
      drop(key);
      return undefined;
    }
    if (turn - entry.turn > entriesMax / 4) {
      turn += entry.weight;
      entry.turn = turn;
      entries.delete(key);
      entries.set(key, entry);
    }
    counts?.hits.add();
    return entry.value;
  }

  function keep(key: K, value: V, generation: number): void {
    const weight = weigh(value);
    drop(key);
    for (const oldest of entries.keys()) {
      if (weightTotal + weight <= entriesMax) break;
      drop(oldest);
    }
    weightTotal += weight;
    turn += weight;
    entries.set(key, { value, weight, generation, turn });
  }

  return {
    get,
    async load(key, read) {
      const cached = get(key);
      if (cached !== undefined) return cached;
      counts?.misses.add();
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
    put: (key, value) => keep(key, value, generationOf(key)),
    delete(key) {
      drop(key);
      reads.delete(key);
    },
    get size() {
      return entries.size;
    },
  };
}
