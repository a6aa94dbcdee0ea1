import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { CacheCounts } from '../cache/lru.js';

/** Opened keys in process memory only, for a bounded time; the bytes are zeroed when a key leaves (kms-admin.md §3.4). */
export interface Keyring {
  /**
   * Lends the key of that name for one synchronous call. It must not be kept: it may be zeroed when the loop turns.
   * At once where it is open. Concurrent first uses share one `open`; a failed one is not remembered.
   */
  use<T>(name: string, open: OpenKey, act: (key: Buffer) => T): Promisable<T>;
  /** Those whose names begin so. */
  forget(prefix: string): void;
  clear(): void;
  readonly size: number;
}

/** May say, once it has begun to wait, that its key is to be kept for less than the keyring's time. */
export type OpenKey = (keepFor: (ttlMs: number) => void) => Promise<Buffer>;

interface Entry {
  readonly key: Promise<Buffer>;
  /** Null until it is open. */
  opened: Buffer | null;
  borrowers: number;
  evicted: boolean;
  cancelExpiry: () => void;
}

export interface KeyringDeps {
  readonly clock: Clock;
  readonly ttlMs: number;
  readonly keysMax: number;
  readonly counts?: CacheCounts;
  /** Whenever a key leaves, for what was opened with it. */
  readonly onLeave?: (name: string) => void;
}

export function createKeyring({ clock, ttlMs, keysMax, counts, onLeave }: KeyringDeps): Keyring {
  // Least recently used first.
  const entries = new Map<string, Entry>();

  function evict(name: string, entry: Entry): void {
    drop(name, entry);
    onLeave?.(name);
  }

  function drop(name: string, entry: Entry): void {
    if (entries.get(name) === entry) entries.delete(name);
    entry.evicted = true;
    entry.cancelExpiry();
    zeroIfUnused(entry);
  }

  // An entry that waits for its key has a borrower, so an evicted one without borrowers has its key or failed.
  function zeroIfUnused(entry: Entry): void {
    if (!entry.evicted || entry.borrowers > 0) return;
    entry.key.then(
      (key) => key.fill(0),
      () => undefined,
    );
  }

  function entryOf(name: string, open: OpenKey): Entry {
    const known = entries.get(name);
    (known ? counts?.hits : counts?.misses)?.add();
    if (known) {
      entries.delete(name);
      entries.set(name, known);
      return known;
    }
    const entry: Entry = {
      key: open((keepMs) => expireIn(entry, name, Math.min(keepMs, ttlMs))),
      opened: null,
      borrowers: 0,
      evicted: false,
      cancelExpiry: () => undefined,
    };
    expireIn(entry, name, ttlMs);
    entries.set(name, entry);
    if (entries.size > keysMax) {
      const [oldestName, oldest] = entries.entries().next().value ?? [];
      if (oldestName !== undefined && oldest) evict(oldestName, oldest);
    }
    return entry;
  }

  // From the opening, not from the last use: a withdrawn key must die within one TTL.
  function expireIn(entry: Entry, name: string, delayMs: number): void {
    entry.cancelExpiry();
    if (!entry.evicted) entry.cancelExpiry = clock.setTimer(delayMs, () => evict(name, entry));
  }

  async function useWhenOpen<T>(name: string, entry: Entry, act: (key: Buffer) => T): Promise<T> {
    entry.borrowers += 1;
    try {
      entry.opened = await entry.key;
      return lend(entry.opened, act);
    } catch (error) {
      await entry.key.catch(() => drop(name, entry));
      throw error;
    } finally {
      entry.borrowers -= 1;
      zeroIfUnused(entry);
    }
  }

  return {
    use(name, open, act) {
      const entry = entryOf(name, open);
      return entry.opened === null ? useWhenOpen(name, entry, act) : lend(entry.opened, act);
    },
    forget(prefix) {
      for (const [name, entry] of [...entries]) if (name.startsWith(prefix)) evict(name, entry);
    },
    clear() {
      for (const [name, entry] of [...entries]) evict(name, entry);
    },
    get size() {
      return entries.size;
    },
  };
}

function lend<T>(key: Buffer, act: (key: Buffer) => T): T {
  const result = act(key);
  assert(!(result instanceof Promise), 'a borrowed key was kept over an await');
  return result;
}
