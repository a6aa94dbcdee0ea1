import type { Transaction } from '../storage/database.js';

/**
 * Which cached things have changed. A change bumps its name in the transaction that makes it; every process reads
 * all names each 500 ms. A cache keeps the generation it was filled under and drops what is older.
 */
export interface Generations {
  /** Bumps in the transaction; this process sees it the moment the commit is durable, others within 500 ms. */
  bump(tx: Transaction, name: string): Promise<void>;
  current(name: string): number;
  /** False when the poll has failed for 1 s: cached credentials are then not honoured (auth.md §1.3). */
  isFresh(): boolean;
  start(): Promise<void>;
  stop(): Promise<void>;
}
