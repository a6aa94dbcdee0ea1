import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import type { Transaction } from './database.js';
import {
  databaseUnavailable,
  type Session,
  type Statement,
  type StatementResult,
  type StorageLogger,
} from './engine.js';

/** One that stays open longer is rolled back: it holds the only writer, or locks, that others wait for. */
export const TRANSACTION_LIMIT_MS = 1_000;

/** The database asks to run the whole transaction again (PostgreSQL 40001, 40P01). */
export class SerializationFailure extends Error {
  override readonly name = 'SerializationFailure';
}

export class OpenTransaction implements Transaction {
  readonly #session: Session;
  readonly #callbacks: (() => void)[] = [];
  #state: 'open' | 'failed' | 'ended' = 'open';
  #failure: unknown;

  constructor(
    /** The database it belongs to; a handle of another one refuses it. */
    readonly owner: object,
    session: Session,
  ) {
    this.#session = session;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get failure(): unknown {
    return this.#failure;
  }

  run(statement: Statement): Promise<StatementResult> {
    return this.#guarded(() => this.#session.run(statement));
  }

  lock(table: string, id: string): Promise<void> {
    return this.#guarded(() => this.#session.lock(table, id));
  }

  afterCommit(callback: () => void): void {
    this.#assertOpen();
    this.#callbacks.push(callback);
  }

  end(): void {
    this.#state = 'ended';
  }

  runCallbacks(logger: StorageLogger | undefined): void {
    for (const callback of this.#callbacks) {
      try {
        callback();
      } catch (error) {
        // The commit is durable: its caller must not be told that it failed.
        logger?.error({ err: error }, 'a callback after commit failed');
      }
    }
  }

  /** PostgreSQL refuses every statement after one that failed; SQLite is held to the same rule. */
  async #guarded<T>(use: () => Promise<T>): Promise<T> {
    this.#assertOpen();
    try {
      return await use();
    } catch (error) {
      if (this.#state === 'open') {
        this.#state = 'failed';
        this.#failure = error;
      }
      throw error;
    }
  }

  #assertOpen(): void {
    assert(this.#state !== 'failed', 'a statement of this transaction has failed, it can only roll back');
    assert(this.#state === 'open', 'the transaction has ended');
  }
}

export interface TransactionOptions {
  readonly owner: object;
  readonly clock: Clock;
  readonly logger: StorageLogger | undefined;
}

export async function runTransaction<T>(
  session: Session,
  run: (tx: Transaction) => Promise<T>,
  options: TransactionOptions,
): Promise<T> {
  const tx = new OpenTransaction(options.owner, session);
  let cancelLimit = () => {};
  const limit = new Promise<never>((_resolve, reject) => {
    cancelLimit = options.clock.setTimer(TRANSACTION_LIMIT_MS, () => {
      tx.end();
      reject(databaseUnavailable(`transaction stayed open for ${TRANSACTION_LIMIT_MS} ms`));
    });
  });
  let value: T;
  try {
    value = await Promise.race([invoke(run, tx), limit]);
    tx.end();
    if (tx.failure !== undefined) throw tx.failure;
    await session.commit();
  } catch (error) {
    tx.end();
    await session.rollback();
    // A store may have turned it into an error of its own; the retry needs the first cause.
    throw tx.failure instanceof SerializationFailure ? tx.failure : error;
  } finally {
    cancelLimit();
  }
  tx.runCallbacks(options.logger);
  return value;
}

/** Turns an exception thrown before the first `await` into a rejection as well. */
async function invoke<T>(run: (tx: Transaction) => Promise<T>, tx: Transaction): Promise<T> {
  return await run(tx);
}
