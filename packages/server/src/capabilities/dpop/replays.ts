import type { Clock } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { Insertion, Transaction } from '../../platform/storage/database.js';
import type { ProofStore } from './store.js';

/** Which proofs were taken. The database decides; what this process knows of it answers without a query. */
export interface Replays {
  has(key: Buffer): Promisable<boolean>;
  /** False where the proof was taken before; durable when it resolves. */
  take(key: Buffer, expiresAtMs: number, rows: readonly Insertion[]): Promise<boolean>;
  takeIn(tx: Transaction, key: Buffer, expiresAtMs: number): Promise<boolean>;
}

export function createReplays(deps: { readonly store: ProofStore; readonly clock: Clock }): Replays {
  const { store, clock } = deps;
  // The oldest first. A key that has left is still found in the database.
  const known = new Map<string, number>();

  function remember(key: string, expiresAtMs: number): void {
    const nowMs = clock.nowMs();
    for (const [oldest, endsAtMs] of known) {
      if (known.size < LIMITS.dpopProofsKept && endsAtMs > nowMs) break;
      known.delete(oldest);
    }
    known.set(key, expiresAtMs);
  }

  return {
    has(key) {
      const text = textOf(key);
      return known.has(text) || store.has(text);
    },

    async take(key, expiresAtMs, rows) {
      const text = textOf(key);
      if (known.has(text)) return false;
      const isFirst = await store.insert(text, expiresAtMs, rows);
      remember(text, expiresAtMs);
      return isFirst;
    },

    async takeIn(tx, key, expiresAtMs) {
      const text = textOf(key);
      if (known.has(text)) return false;
      const isFirst = await store.insertIn(tx, text, expiresAtMs);
      tx.afterCommit(() => remember(text, expiresAtMs));
      return isFirst;
    },
  };
}

function textOf(key: Buffer): string {
  return key.toString('base64url');
}
